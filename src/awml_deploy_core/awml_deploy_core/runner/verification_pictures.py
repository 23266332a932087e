"""The frames of a verification that a person should look at first."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import MissingDependencyError
from awml_deploy_core.evaluation.frames import sensor_distances
from awml_deploy_core.family import Sample
from awml_deploy_core.files import io_errors
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.reporting.verification_result import ComparedFrameRecord
from awml_deploy_core.runner.evidence_pictures import draw_output
from awml_deploy_core.verification import Scenario
from awml_deploy_core.verification.boxes import OutputComparison

_LOG = logging.getLogger(__name__)
_MOST = 3
"""Frames of a scenario that failed; of one that passed, the one that agrees least stands for all."""


@dataclass(frozen=True, eq=False)
class _Frame:
    """What two backends made of a sample."""

    scenario: Scenario
    sample: Sample
    reference: Any
    test: Any
    comparison: OutputComparison

    @property
    def disagreement(self) -> tuple[bool, int, float]:
        """Whether it failed, boxes without a partner, and how far apart those with one are [m]."""
        details = self.comparison.details
        lone = sum(len(details.get(side, ())) for side in ("only_in_reference", "only_in_test"))
        return not self.comparison, lone, details.get("worst", {}).get("position", 0.0)


@dataclass(frozen=True, eq=False)
class WorstFrames:
    """Keeps the frames of every scenario whose decoded outputs agree least."""

    _kept: dict[str, list[_Frame]] = field(default_factory=dict)

    def note(
        self, scenario: Scenario, sample: Sample, reference: Any, test: Any, comparison: OutputComparison
    ) -> None:
        """Keep what was decoded from a sample, if it is among the worst so far."""
        kept = self._kept.setdefault(scenario.name, [])
        kept.append(_Frame(scenario, sample, reference, test, comparison))
        kept.sort(key=lambda frame: frame.disagreement, reverse=True)
        failed = sum(not frame.comparison for frame in kept)
        del kept[max(1, min(_MOST, failed)) :]

    def draw(self, folder: Path) -> dict[str, tuple[ComparedFrameRecord, ...]]:
        """Draw what is kept; without matplotlib, nothing.

        Args:
            folder: Made if need be.

        Returns:
            The frames by scenario, the worst first.

        Raises:
            ArtifactError: A picture cannot be written.
        """
        with io_errors(folder, "cannot be made"):
            folder.mkdir(parents=True, exist_ok=True)
        drawn: dict[str, tuple[ComparedFrameRecord, ...]] = {}
        for name, frames in self._kept.items():
            try:
                records = [record for frame in frames if (record := _draw(frame, folder)) is not None]
            except MissingDependencyError as error:
                _LOG.warning("no pictures: %s", error)
                return drawn
            drawn[name] = tuple(records)
        return drawn


def _draw(frame: _Frame, folder: Path) -> ComparedFrameRecord | None:
    scenario, sample = frame.scenario, frame.sample
    path = draw_output(
        folder,
        f"{scenario.name}_{sample.sample_id}",
        sample.input,
        frame.test,
        reference=frame.reference,
        reference_name=str(scenario.reference),
        truth=_within_reach(sample.ground_truth, frame.reference, frame.test),
        title=f"{sample.sample_id}: {scenario.test} and, dashed, {scenario.reference}",
    )
    if path is None:
        return None
    return ComparedFrameRecord(
        sample=sample.sample_id,
        status="passed" if frame.comparison else "failed",
        summary=frame.comparison.message(),
        picture=str(path),
    )


def _within_reach(truth: Any, reference: Any, test: Any) -> Any:
    """Ground truth no farther away than the farthest box that either side found; None if it says nothing.

    What the model cannot see would all be missed, and so would classes that it does not have.
    """
    if not isinstance(truth, GroundTruth) or not isinstance(test, Detections):
        return truth
    if not {*truth.boxes.class_names} <= {*test.class_names}:
        return None
    found = np.concatenate([sensor_distances(side) for side in (reference, test)])
    return truth.select(sensor_distances(truth.boxes) <= found.max(initial=0.0))
