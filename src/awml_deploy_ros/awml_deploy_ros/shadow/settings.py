"""What the parameters ``shadow.*`` say. This module knows no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ShadowSettings:
    """Which frames go through which reference, and what counts as a disagreement."""

    every_n: int = 0
    """0 is off."""
    backend: str = "onnxruntime"
    device: str = "cpu"
    max_rate_hz: float = 1.0
    max_share: float = 0.25
    """Of one CPU core or of the GPU."""
    num_threads: int = 1
    max_unmatched: int = 0
    max_consecutive_disagreements: int = 3

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> ShadowSettings:
        """Settings from checked parameter values."""
        return cls(**{name: values[f"shadow.{name}"] for name in cls.__dataclass_fields__})
