"""How much the boxes of two backends are the same boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import EvaluationError
from awml_deploy_core.evaluation.matching import (
    NO_MATCH,
    FloatArray,
    descending,
    distances_from_above,
    greedy_match,
)
from awml_deploy_core.evaluation.task import AgreementResult, FrameScore


@dataclass(frozen=True, eq=False)
class BoxAgreement:
    """The boxes of one frame from two backends, matched one to one within a class."""

    matched: int
    only_in_reference: int
    only_in_test: int
    differences: dict[str, FloatArray]
    """float64 [matched] by name and unit, e.g. ``center_m``; ``score``."""

    @property
    def share(self) -> float:
        """Matched boxes of both sides over all; 1 if there is none."""
        total = 2 * self.matched + self.only_in_reference + self.only_in_test
        return 2 * self.matched / total if total else 1.0

    @property
    def score(self) -> FrameScore:
        """The share, with the counts in words."""
        return FrameScore(
            score=self.share,
            summary=(
                f"{self.matched} boxes matched, {self.only_in_reference} only in the reference, "
                f"{self.only_in_test} only here"
            ),
        )


def check_class_names(reference: tuple[str, ...], test: tuple[str, ...]) -> None:
    """Raise EvaluationError unless two backends have the same classes."""
    if reference != test:
        raise EvaluationError("class names", "differ between backends", got=test, expected=reference)


def compare_boxes(reference: Detections, test: Detections, max_distance: float) -> BoxAgreement:
    """Match boxes by class, those of the reference by falling score, each to the nearest still free.

    The differences are ``center_m``, ``size_m``, ``yaw_rad``, ``velocity_mps`` and ``score``.

    Args:
        reference: Boxes taken as right.
        test: In the same frame.
        max_distance: Centres, seen from above, have to be nearer than this [m].

    Raises:
        EvaluationError: The classes of both sides differ.
    """
    check_class_names(reference.class_names, test.class_names)
    order = descending(reference.scores)
    distances = distances_from_above(reference.centers[order], test.centers)
    distances[reference.labels[order][:, None] != test.labels] = np.inf
    found = greedy_match(distances, (max_distance,))[0]
    hit = found != NO_MATCH
    a, b = reference.select(order[hit]), test.select(found[hit])
    matched = len(a)
    return BoxAgreement(matched, len(reference) - matched, len(test) - matched, _differences(a, b))


def _differences(a: Detections, b: Detections) -> dict[str, FloatArray]:
    def minus(left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]) -> FloatArray:
        return left.astype(np.float64) - right

    turn = minus(a.yaws, b.yaws)
    return {
        "center_m": np.linalg.norm(minus(a.centers, b.centers), axis=1),
        "size_m": np.abs(minus(a.sizes, b.sizes)).max(axis=1, initial=0.0),
        "yaw_rad": np.abs((turn + np.pi) % (2 * np.pi) - np.pi),
        "velocity_mps": np.linalg.norm(minus(a.velocities, b.velocities), axis=1),
        "score": np.abs(minus(a.scores, b.scores)),
    }


def box_agreement(
    reference: str, frames: Sequence[BoxAgreement], apart: str, *, unit: str = "frame"
) -> AgreementResult:
    """Sum over frames.

    Args:
        reference: Name of the reference backend.
        frames: One or more.
        apart: Format of the headline's end, of the mean and maximum of the differences, e.g.
            ``centres {center_m_mean:.2e} m apart on average``.
        unit: What a frame is called.

    Raises:
        EvaluationError: There is no frame.
    """
    if not frames:
        raise EvaluationError("agreement", f"there is no {unit} that both backends ran")
    matched = sum(frame.matched for frame in frames)
    only_reference = sum(frame.only_in_reference for frame in frames)
    only_test = sum(frame.only_in_test for frame in frames)
    figures: dict[str, float] = {
        "boxes_matched": matched,
        "boxes_only_in_reference": only_reference,
        "boxes_only_in_test": only_test,
    }
    if matched + only_reference + only_test:
        figures["matched_share"] = BoxAgreement(matched, only_reference, only_test, {}).share
    if matched:
        for name in frames[0].differences:
            values = np.concatenate([frame.differences[name] for frame in frames])
            figures[f"{name}_mean"] = float(values.mean())
            figures[f"{name}_max"] = float(values.max())
    shift = f", {apart.format(**figures)}" if matched else ""
    return AgreementResult(
        reference=reference,
        num_frames=len(frames),
        headline=(
            f"{matched} boxes matched, {only_reference} only in {reference}, {only_test} only here{shift}"
        ),
        figures=figures,
    )
