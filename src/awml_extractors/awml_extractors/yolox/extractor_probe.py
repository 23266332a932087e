"""Probes of the extractor: a model whose last layers are told to say known boxes.

The last convolutions of the head are replaced by the values that they would have given: logits, by level,
channel, row and column. What the extracted component makes of them must decode to the boxes: the sigmoids,
the order of levels, cells and channels, and a regression that is not decoded.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from awml_deploy_core.components import SimpleComponentExtractor
from awml_deploy_core.errors import ExportError
from awml_deploy_core.family import Probe
from awml_extractors.yolox.config import STRIDES, YoloxConfig
from awml_extractors.yolox.model import Yolox
from awml_extractors.yolox.probe import FloatArray, encode, known_scene, probe_of, spread
from awml_extractors.yolox.specs import component_spec

_NO_OBJECT = -20.0
_LAYERS = {"multi_level_conv_reg": slice(0, 4), "multi_level_conv_obj": slice(4, 5)}
"""Columns of the output by the list of layers that gives them; the class scores follow."""


class _Known(nn.Module):
    """Gives the same map whatever it is fed."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = values

    def forward(self, features: Tensor) -> Tensor:
        """``[B, any, h, w]`` to ``[B, C, h, w]``."""
        return self.values.expand(features.shape[0], -1, -1, -1)


def extractor_probes(config: YoloxConfig, model: nn.Module) -> tuple[Probe, ...]:
    """One probe whose boxes, of all classes and strides, come out of an extracted network.

    Args:
        config: The bundle's.
        model: A network, which stays as it is.

    Raises:
        ExportError: ``model`` is no YOLOX.
    """
    if not isinstance(model, Yolox):
        raise ExportError("model", "wrong type", got=type(model).__name__, expected="Yolox")
    scene = known_scene(config)
    boxes = spread(config, scene)
    told = copy.deepcopy(model).eval()
    _tell(told, config, encode(config, scene, boxes))
    (component,) = SimpleComponentExtractor(component_spec(config)).extract(told)
    with torch.inference_mode():
        output = component.module(torch.zeros(1, 3, *config.input_size))
    name = "boxes of an extracted network"
    return (probe_of(config, name, scene, boxes, "mmdet", output=output.numpy()),)


def _tell(model: Yolox, config: YoloxConfig, output: FloatArray) -> None:
    rows, columns = config.input_size
    layers = {**_LAYERS, "multi_level_conv_cls": slice(5, config.num_values)}
    start = 0
    for level, stride in enumerate(STRIDES):
        height, width = rows // stride, columns // stride
        cells = torch.from_numpy(output[0, start : start + height * width]).double()
        start += height * width
        values = cells.T.reshape(1, config.num_values, height, width).clone()
        values[:, 4:] = torch.logit(values[:, 4:]).clamp(min=_NO_OBJECT)
        for name, part in layers.items():
            model.bbox_head.get_submodule(name)[level] = _Known(values[:, part].float())  # type: ignore[index]
