"""What a pipeline decodes before suppression, and how narrowly each decision falls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.runtime.session import Tensors


@dataclass(frozen=True)
class SuppressionRule:
    """Two boxes of a pair cannot both stay beyond a threshold."""

    kind: Literal["distance", "iou"]
    """``distance`` of the centres [m], both seen from above, or their overlap."""
    threshold: float


@dataclass(frozen=True, eq=False)
class Candidates:
    """Boxes before suppression that pass every threshold after it was loosened by the margins."""

    boxes: Detections
    """With the classes of the pipeline's output."""
    score_margins: npt.NDArray[np.float64]
    """[N]: how far the margins can move each score."""
    narrow: tuple[str, ...]
    """For each why differences within the margins could decide otherwise; empty where none could."""
    rules: tuple[SuppressionRule, ...] = ()
    max_boxes: int | None = None
    """Most boxes that are left after suppression."""


@runtime_checkable
class OffersCandidates(Protocol):
    """A pipeline that can say how narrowly its boxes were found. Optional."""

    def candidates(
        self, outputs: Mapping[str, Tensors], margins: Mapping[str, Mapping[str, float]]
    ) -> Candidates:
        """Decode recorded tensors with loosened thresholds.

        Args:
            outputs: Tensors by component, as a TensorTap holds them.
            margins: Largest differences that rounding makes of them, likewise; 0 where missing.
        """
        ...
