"""Megvii's names of YOLOX's parameters (TIER IV's fork with ELAN) as those of mmdet and AWML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

ValueT = TypeVar("ValueT")

_MARK = "backbone.backbone."
"""Megvii's neck is called ``backbone`` and holds the backbone under the same name."""
_ELAN_PARTS = {"conv1": "main_conv", "conv2": "short_conv", "conv3": "final_conv", "m": "blocks"}
_STAGE = re.compile(r"backbone\.backbone\.dark([2-5])\.(\d+)\.(.+)")
_NECK = {
    "lateral_conv0": "reduce_layers.0",
    "reduce_conv1": "reduce_layers.1",
    "C3_p4": "top_down_blocks.0",
    "C3_p3": "top_down_blocks.1",
    "bu_conv2": "downsamples.0",
    "bu_conv1": "downsamples.1",
    "C3_n3": "bottom_up_blocks.0",
    "C3_n4": "bottom_up_blocks.1",
}
_PREFIXES = {
    "backbone.backbone.stem.down1.": "backbone.stem.conv.0.",
    "backbone.backbone.stem.conv2.": "backbone.stem.conv.1.",
    "head.stems.": "neck.out_convs.",
    "head.cls_convs.": "bbox_head.multi_level_cls_convs.",
    "head.reg_convs.": "bbox_head.multi_level_reg_convs.",
    "head.cls_preds.": "bbox_head.multi_level_conv_cls.",
    "head.reg_preds.": "bbox_head.multi_level_conv_reg.",
    "head.obj_preds.": "bbox_head.multi_level_conv_obj.",
}


def is_megvii(state: Mapping[str, object]) -> bool:
    """Whether the names of a state dict are Megvii's."""
    return any(name.startswith(_MARK) for name in state)


def from_megvii(state: Mapping[str, ValueT]) -> dict[str, ValueT]:
    """The state dict under mmdet's names; a name that has none stays as it is."""
    return {_renamed(name): value for name, value in state.items()}


def _renamed(name: str) -> str:
    for old, new in _PREFIXES.items():
        if name.startswith(old):
            return new + name[len(old) :]
    if stage := _STAGE.fullmatch(name):
        number, position, rest = stage.groups()
        return f"backbone.stage{int(number) - 1}.{position}.{_elan(rest)}"
    part, _, rest = name.removeprefix("backbone.").partition(".")
    if name.startswith("backbone.") and part in _NECK:
        return f"neck.{_NECK[part]}.{_elan(rest) if part.startswith('C3_') else rest}"
    return name


def _elan(rest: str) -> str:
    """Name below an aggregation layer; that of a plain convolution stays."""
    part, _, tail = rest.partition(".")
    return f"{_ELAN_PARTS[part]}.{tail}" if part in _ELAN_PARTS else rest
