"""The live node's detections beside the simulator's ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.evaluation import EvaluatedFrame
from awml_deploy_core.reporting.accuracy import AccuracyLimits, accuracy_record
from awml_deploy_core.reporting.bev import BevView, write_bev
from awml_deploy_core.reporting.result import AccuracyRecord
from awml_deploy_ros.live import RecordedFrame
from awml_extractors.centerpoint.bundle_files import read_bundle
from awml_extractors.datasets.infos import ground_truth_by_stamp
from awml_extractors.datasets.samples import open_samples

MIN_POINTS = 5
"""Of ground truth: nobody can be asked to see what reflects less."""
MIN_RECALL = {"CAR": 0.7}
"""Far below what the shipped weights reach: a model that finds less than this does not detect."""


@dataclass(frozen=True, eq=False)
class Scoring:
    """Recorded frames by stamp [ns], each with what is there."""

    frames: dict[int, EvaluatedFrame]
    limits: AccuracyLimits
    """The range is the radius of the circle inside the model's."""

    @classmethod
    def of(cls, recorded: Sequence[RecordedFrame], bag: Path, bundle: Path) -> Scoring:
        """Pair the frames of a recording with the ground truth of the bag that was played.

        Raises:
            ArtifactError: The bundle is not CenterPoint's.
            DatasetError: The bag has no ground truth.
        """
        config = read_bundle(bundle)
        if config is None:
            raise ArtifactError(bundle, "not a bundle of CenterPoint")
        truths = ground_truth_by_stamp(bag)
        frames = {
            frame.stamp_ns: EvaluatedFrame(
                str(frame.stamp_ns), _named(frame.detections, config.class_names), truths[frame.stamp_ns]
            )
            for frame in recorded
        }
        borders = config.point_cloud_range
        radius = min(abs(borders[axis]) for axis in (0, 1, 3, 4))
        return cls(frames, AccuracyLimits(radius, MIN_POINTS))

    def record(self) -> AccuracyRecord | None:
        """Precision and recall with a verdict, or None without any frame.

        Raises:
            EvaluationError: No ground truth is within range.
        """
        if not self.frames:
            return None
        return accuracy_record(list(self.frames.values()), self.limits, MIN_RECALL)

    def draw(self, bag: Path, folder: Path, stamps: Sequence[int]) -> list[Path]:
        """Bird's-eye views of the frames at ``stamps``: the boxes that count, over their clouds.

        Raises:
            ArtifactError: A picture cannot be written.
            MissingDependencyError: matplotlib is not installed.
        """
        reach = (-self.limits.max_range, self.limits.max_range)
        pictures = []
        folder.mkdir(parents=True, exist_ok=True)
        for sample in open_samples(str(bag)):
            if sample.input.stamp_ns not in stamps:
                continue
            frame = self.limits.apply(self.frames[sample.input.stamp_ns])
            path = folder / f"{sample.sample_id}.png"
            there, found = len(frame.ground_truth), len(frame.detections)
            write_bev(
                path,
                sample.input.sweeps[0].columns,
                frame.detections,
                ground_truth=frame.ground_truth,
                match_distance=self.limits.match_distance,
                view=BevView(reach, reach),
                title=f"{sample.sample_id}: {found} detections, {there} boxes of ground truth",
            )
            pictures.append(path)
        return pictures


def _named(detections: Detections, class_names: tuple[str, ...]) -> Detections:
    """With the model's whole list of classes: a recording names only those that were detected."""
    return replace(detections, class_names=class_names + detections.class_names[len(class_names) :])
