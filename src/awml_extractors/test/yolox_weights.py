"""Checkpoints of YOLOX with seeded weights that find boxes of all classes, some of them certain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from awml_extractors.yolox.config import parse_config
from awml_extractors.yolox.model import Yolox

SMALL: dict[str, Any] = {
    "input_size": [320, 320],
    "deepen_factor": 0.5,
    "widen_factor": 0.25,
    "neck_blocks": 1,
}
"""Model configuration of a network that runs in a hundredth of the time."""


def make_model(raw: dict[str, Any], seed: int = 0) -> Yolox:
    """A network that neither amplifies nor damps, so that rounding stays what it is in a trained one."""
    torch.manual_seed(seed)
    model = Yolox(parse_config(raw))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    state = model.state_dict()
    # The first normalisation takes pixels to the order of one.
    state["backbone.stem.conv.0.bn.running_mean"].fill_(0.0)
    state["backbone.stem.conv.0.bn.running_var"].fill_(128.0**2)
    for level in range(3):
        state[f"bbox_head.multi_level_conv_obj.{level}.bias"].fill_(-1.0)
        # Boxes larger than their cells, so that neighbours overlap.
        state[f"bbox_head.multi_level_conv_reg.{level}.bias"][2:].fill_(2.0)
    return model.eval()


def write_checkpoint(path: Path, raw: dict[str, Any]) -> Path:
    torch.save({"state_dict": make_model(raw).state_dict(), "meta": {}}, path)
    return path
