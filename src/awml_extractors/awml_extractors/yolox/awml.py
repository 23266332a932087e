"""AWML's deploy and model configurations of YOLOX."""

from __future__ import annotations

from typing import Any

from awml_deploy_core.awml_import import AwmlModel, AwmlSource
from awml_deploy_core.awml_import.source import lookup
from awml_extractors.awml_single import single_graph

_TASK, _MODEL_TYPE, _TENSORS = "detection2d", "YOLOX", ("images", "output")
_MODEL_KEYS = {
    "model.backbone.arch": "arch",
    "model.backbone.deepen_factor": "deepen_factor",
    "model.backbone.widen_factor": "widen_factor",
    "model.backbone.act_cfg.type": "activation",
    "model.neck.num_elan_blocks": "neck_blocks",
    "model.test_cfg.score_thr": "options.score_threshold",
    "model.test_cfg.nms.iou_threshold": "options.nms_threshold",
    "class_names": "class_names",
    "classes": "class_names",
}
"""Our key by that of the model's configuration."""


def import_awml(source: AwmlSource) -> AwmlModel | None:
    """Our ``model`` section, or None if the source is of another model."""
    graph = single_graph(source, _TASK, _MODEL_TYPE, _TENSORS)
    if graph is None:
        return None
    section: dict[str, Any] = dict(graph.section)
    used = dict(graph.used)
    component = graph.component
    ranges = component.ranges("images")
    if len(component.input_shape) == 3:
        section["input_size"] = list(component.input_shape[1:])
    elif ranges is not None and len(ranges) == 4:
        section["input_size"] = [ranges[2][1], ranges[3][1]]
    else:
        scale = lookup(source.model or {}, "IMG_SCALE") or lookup(source.model or {}, "img_scale")
        if isinstance(scale, list | tuple) and len(scale) == 2:
            section["input_size"] = list(scale)
            used["model_config.IMG_SCALE"] = "input_size"
    if ranges is not None:
        used[component.profile_key] = "batch_size"
        section["batch_size"] = list(ranges[0]) if graph.has_dynamic(0) else ranges[0][1]
    elif component.batch_size is not None:
        section["batch_size"] = component.batch_size
    for key, target in _MODEL_KEYS.items():
        value = lookup(source.model or {}, key)
        if value is None or (target == "arch" and not isinstance(value, str)):
            continue
        part, _, option = target.partition(".")
        if option:
            section.setdefault(part, {})[option] = value
        else:
            section[target] = list(value) if isinstance(value, tuple) else value
        used[f"model_config.{key}"] = target
    return AwmlModel(section, used)
