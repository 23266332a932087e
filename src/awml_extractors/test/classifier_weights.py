"""Checkpoints of the classifier with seeded weights whose logits differ between inputs."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from awml_extractors.calibration_status.model import CalibrationStatusClassifier

SMALL = {"height": [32, 48, 400], "width": [32, 64, 1300]}
"""Model configuration for small images and for KITTI's."""


def state_dict(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    model = CalibrationStatusClassifier(5, 2)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    # The sum of two branches of order one is of order two; eight blocks would add up.
    for name, value in model.state_dict().items():
        if name.endswith("bn2.weight"):
            value.fill_(0.5)
    return model.state_dict()


def write_checkpoint(path: Path) -> Path:
    torch.save({"state_dict": state_dict(), "meta": {"epoch": 50}}, path)
    return path
