"""Why a transform is not to be had."""

from __future__ import annotations

from enum import Enum

from awml_deploy_core.errors import TransformError


class TransformProblem(str, Enum):
    """Why there is no transform between two frames at a time."""

    UNKNOWN_FRAME = "unknown_frame"
    """Nobody has published a frame of this name."""
    NOT_CONNECTED = "not_connected"
    """Both frames are known, but no chain of transforms joins them."""
    TOO_EARLY = "too_early"
    """The time lies before the kept history."""
    TOO_LATE = "too_late"
    """The time lies after the newest transform, which may yet be on its way."""


class TransformUnavailableError(TransformError):
    """Two frames have no known transform at a time.

    Args:
        problem: Why.
        target: Frame into which the transform was asked for.
        source: Frame from which.
        detail: What was found instead, in one clause.
    """

    def __init__(self, problem: TransformProblem, target: str, source: str, detail: str) -> None:
        self.transform_problem = problem
        super().__init__(f"transform from {source} to {target}", detail)
