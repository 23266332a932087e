"""What the parameters ``snippets.*`` say. This module knows no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SnippetSettings:
    """Where snippets go, how long and how many they are."""

    folder: Path | None = None
    """None writes none."""
    seconds_before: float = 2.0
    seconds_after: float = 1.0
    min_interval_s: float = 30.0
    max_total_mb: float = 2000.0
    min_free_mb: float = 1000.0
    max_buffer_mb: float = 512.0

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> SnippetSettings:
        """Settings from checked parameter values."""
        folder = values["snippets.folder"]
        others = {name: values[f"snippets.{name}"] for name in cls.__dataclass_fields__ if name != "folder"}
        return cls(folder=Path(folder).expanduser() if folder else None, **others)
