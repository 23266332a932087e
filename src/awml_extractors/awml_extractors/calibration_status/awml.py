"""AWML's deploy configurations of the classifier."""

from __future__ import annotations

from typing import Any

from awml_deploy_core.awml_import import AwmlModel, AwmlSource
from awml_deploy_core.awml_import.source import lookup
from awml_extractors.awml_single import single_graph

_TASK, _MODEL_TYPE, _TENSORS = "classification", "ImageClassifier", ("input", "output")
_NUM_AXES = 4


def import_awml(source: AwmlSource) -> AwmlModel | None:
    """Our ``model`` section, or None if the source is of another model."""
    graph = single_graph(source, _TASK, _MODEL_TYPE, _TENSORS)
    if graph is None:
        return None
    section: dict[str, Any] = dict(graph.section)
    used = dict(graph.used)
    ranges = graph.component.ranges("input")
    if ranges is not None and len(ranges) == _NUM_AXES:
        batch, _, height, width = ranges
        section |= {
            "batch_size": batch[1] if not graph.has_dynamic(0) else list(batch),
            "height": height[0] if not graph.has_dynamic(2) else list(height),
            "width": width[0] if not graph.has_dynamic(3) else list(width),
        }
        used[graph.component.profile_key] = "batch_size, height, width"
    for key, target in (("max_depth", "max_depth"), ("dilation_size", "dilation_size")):
        value = lookup(source.model or {}, key)
        if value is not None:
            section[target] = value
            used[f"model_config.{key}"] = target
    return AwmlModel(section, used)
