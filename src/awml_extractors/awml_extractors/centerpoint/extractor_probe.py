"""Probes of the extractor: a model told to say one box in mmdet3d's convention everywhere.

With all weights of the last convolutions zero, their biases are the output. Extraction moves the
convention from mmdet3d's to the bundle's, and decoding must give the box back; a flag forgotten in
between gives another box of the same shape.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from awml_deploy_core.errors import ExportError
from awml_deploy_core.family import Probe
from awml_extractors.centerpoint.config import CenterPointConfig, HeadConvention
from awml_extractors.centerpoint.extractor import CenterPointComponentExtractor
from awml_extractors.centerpoint.model import CenterPoint
from awml_extractors.centerpoint.probe import probes, spread
from awml_extractors.centerpoint.probe_encoding import BACKGROUND, KnownBox, ProbeGeometry, expected, logit
from awml_extractors.centerpoint.specs import BACKBONE_NECK_HEAD

_TRAINED = HeadConvention(dim_order="lwh", rot_encoding="sin_cos")
"""What mmdet3d's heads are trained to write."""
_STRIDES = 4
"""Canvas of the probe in total strides of the network: it says the same everywhere, so it can be small."""


def extractor_probes(config: CenterPointConfig, model: nn.Module) -> tuple[Probe, ...]:
    """One probe whose boxes, of all classes and quadrants, each come out of an extracted head.

    Args:
        config: The bundle's, which says in which convention extracted heads write.
        model: A CenterPoint, which stays as it is.

    Raises:
        ExportError: ``model`` is not a CenterPoint of this configuration, or its extracted head does
            not say the same everywhere.
    """
    if not isinstance(model, CenterPoint):
        raise ExportError("model", "wrong type", got=type(model).__name__, expected="CenterPoint")
    geometry = ProbeGeometry(config)
    boxes = _of_every_class(config)
    width, height = config.output_size
    maps = {
        name: np.zeros((1, channels, height, width), np.float32)
        for name, channels in config.head_outputs.items()
    }
    maps["heatmap"][:] = BACKGROUND
    told = copy.deepcopy(model).eval()
    for box in boxes:
        _tell(told, geometry, box)
        column, row = geometry.cell_of(box)
        for name, values in _say(told, config).items():
            maps[name][0, :, row, column] = values
    template = probes(config)[0]
    probe = Probe(
        "boxes of an extracted head",
        template.input,
        {BACKBONE_NECK_HEAD: maps},
        template.options,
        expected(config, boxes),
    )
    return (probe,)


def _of_every_class(config: CenterPointConfig) -> list[KnownBox]:
    """One box a class, headed into another quadrant from class to class, and at least four."""
    boxes = spread(config)
    classes = len(config.class_names)
    return [boxes[4 * (index % classes) + index % 4] for index in range(max(classes, 4))]


def _tell(model: CenterPoint, geometry: ProbeGeometry, box: KnownBox) -> None:
    """Make a model say one box in every cell, in the convention that it is trained in."""
    values: dict[str, list[float]] = geometry.values(box, _TRAINED)
    classes = len(model.config.class_names)
    values["heatmap"] = [logit(box.score) if label == box.label else BACKGROUND for label in range(classes)]
    branches = cast(nn.ModuleDict, model.pts_bbox_head.task_heads[0])
    with torch.no_grad():
        for name, channels in values.items():
            last = cast(nn.Conv2d, cast(nn.Sequential, branches[name])[-1])
            last.weight.zero_()
            bias = last.get_parameter("bias")
            bias.zero_()
            bias[: len(channels)] = torch.tensor(channels)


def _say(model: CenterPoint, config: CenterPointConfig) -> dict[str, Any]:
    """What the extracted head says of a small canvas, ``[c]`` by output."""
    components = {item.spec.name: item for item in CenterPointComponentExtractor(config).extract(model)}
    component = components[BACKBONE_NECK_HEAD]
    a, b, c = config.backbone_strides
    side = _STRIDES * a * b * c
    with torch.inference_mode():
        outputs = component.module(torch.zeros(1, config.num_pillar_features, side, side))
    said = {}
    for spec, output in zip(component.spec.outputs, outputs, strict=True):
        values = output[0].flatten(1).numpy()
        if np.ptp(values, axis=1).max() != 0.0:
            raise ExportError(
                f"{BACKBONE_NECK_HEAD}: {spec.name}",
                "does not say its biases alone, though the weights of its last convolution are zero",
            )
        said[spec.name] = values[:, 0]
    return said
