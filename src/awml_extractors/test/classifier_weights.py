"""Checkpoints of the classifier with seeded weights whose logits differ between inputs."""

from __future__ import annotations

from pathlib import Path

import torch

from awml_extractors.calibration_status.model import CalibrationStatusClassifier

SMALL = {"height": [32, 48, 400], "width": [32, 64, 1300]}
"""Model configuration for small images and for KITTI's."""


def state_dict(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return CalibrationStatusClassifier(5, 2).state_dict()


def write_checkpoint(path: Path) -> Path:
    torch.save({"state_dict": state_dict(), "meta": {"epoch": 50}}, path)
    return path
