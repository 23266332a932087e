"""What the frames of a replay are worth, by ground truth at their stamps."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from awml_deploy_core.artifacts.bundle import ModelBundle
from awml_deploy_core.config.evaluation_schema import Detection3dSection
from awml_deploy_core.errors import DatasetError, EvaluationError
from awml_deploy_core.evaluation import DetectionMetricSettings, EvaluatedFrame, filter_frame
from awml_deploy_core.evaluation.detection3d_task import Detection3dTask
from awml_deploy_core.evaluation.precision_recall import FrameMatch, PrecisionRecall, match_frame
from awml_deploy_core.evaluation.task import AccuracyResult, TaskFrame
from awml_deploy_core.family import ProvidesGroundTruth
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.validation import suggest
from awml_deploy_core.verification import CheckResult, Status
from awml_deploy_ros.replay.frames import CloudFate, ReplayedBag

NAME = "accuracy"
INFO_ENDING = ".infos.pkl"
"""What the path of a bag is extended with for an info file beside it."""
_RANGE_KEY = "point_cloud_range"


@dataclass(frozen=True)
class AccuracySettings:
    """Which boxes count, and what is asked of the figures."""

    file: Path
    floors: Mapping[str, float] = field(default_factory=dict)
    """Least value by figure, e.g. ``mean_ap``, ``recall/CAR``."""
    match_ms: float = 1.0
    """Ground truth and frame belong together if their stamps are no farther apart."""
    max_distance: float | None = None
    """Boxes at least this far away [m] are left out; None takes the circle inside the model's range."""
    min_points: int = 5
    """Ground truth on fewer LiDAR points is left out."""
    pass_share: float = 0.75
    """Share of the ground truth that a frame has to find to count as a success; 0.75 is the level
    ``hard`` of driving_log_replayer_v2."""
    pass_rate: float = 0.95
    """Share of the frames that have to be successes, in the result lines of that tool."""


@dataclass(frozen=True, eq=False)
class ScoredFrame:
    """One cloud with ground truth, after the boxes that do not count were left out."""

    cloud: CloudFate
    truth: GroundTruth
    """Without what is too far away or has too few points."""
    match: FrameMatch | None
    """None if the cloud gave no frame."""

    def success(self, share: float) -> bool | None:
        """Whether enough was found; None if there is neither ground truth nor detection."""
        if self.match is None:
            return False if len(self.truth) else None
        total = self.match.total
        there = total.true_positives + total.false_negatives
        if not there:
            return None if not total.false_positives else True
        return total.true_positives >= share * there


@dataclass(frozen=True, eq=False)
class Scored:
    """The frames that have ground truth, and their figures."""

    settings: AccuracySettings
    frames: tuple[ScoredFrame, ...]
    unannotated: int
    """Processed clouds without ground truth at their stamp."""
    result: AccuracyResult | None
    missing: str = ""
    """Why there is no result."""
    distance: float | None = None
    """Boxes at least this far away [m] were left out."""


def ground_truth_file(bag: Path, given: Path | None) -> Path | None:
    """The info file of a bag: the one given, the one in the folder given, or the one beside the bag.

    Raises:
        DatasetError: The one given is not there.
    """
    name = (bag if bag.is_dir() or not bag.exists() else bag.parent).name
    if given is None:
        folder = bag if bag.is_dir() else bag.parent
        beside = folder.with_name(folder.name + INFO_ENDING)
        return beside if beside.is_file() else None
    file = given / f"{name}{INFO_ENDING}" if given.is_dir() else given
    if not file.is_file():
        raise DatasetError(file, "no such ground truth", expected="an info file (T4, nuScenes)")
    return file


def score(run: ReplayedBag, model: Path, settings: AccuracySettings) -> Scored:
    """Match every frame with the ground truth at its stamp.

    Raises:
        DatasetError: The file is missing or malformed, or the model's family reads no ground truth.
    """
    bundle = ModelBundle.open(model)
    family = bundle.family
    if not isinstance(family, ProvidesGroundTruth):
        raise DatasetError(
            settings.file, f"cannot be read: model family {family.name} knows no ground truth"
        )
    truths = family.ground_truth_by_stamp(settings.file, bundle.config)
    if not truths:
        raise DatasetError(settings.file, "has no annotated sample")
    distance = settings.max_distance or _circle(family.dump_config(bundle.config))
    metric = DetectionMetricSettings(default_max_distance=distance, min_points=settings.min_points)
    paired = _paired(run.clouds, truths, settings.match_ms)
    frames = tuple(_scored(run, cloud, truth, metric) for cloud, truth in paired)
    unannotated = len(run.processed) - sum(frame.cloud.frame is not None for frame in frames)
    evaluated = [
        TaskFrame(frame.sample_id, replace(frame.frame.detections, class_names=run.class_names), truth)
        for frame, truth in paired
        if frame.frame is not None
    ]
    if not evaluated:
        return Scored(
            settings, frames, unannotated, None, "no frame has ground truth at its stamp", distance
        )
    section = Detection3dSection(default_max_distance=distance, min_points=settings.min_points)
    try:
        result = Detection3dTask(section).evaluate(evaluated)
    except EvaluationError as error:
        return Scored(settings, frames, unannotated, None, str(error), distance)
    matches = [frame.match for frame in frames if frame.match is not None]
    figures = {**result.figures, **dict(_shares(PrecisionRecall.of(matches)))}
    return Scored(
        settings, frames, unannotated, result.model_copy(update={"figures": figures}), distance=distance
    )


def accuracy_checks(scored: Scored | None) -> Iterator[CheckResult]:
    """One check a floor; without any, the figures are told and nothing is judged."""
    if scored is None:
        yield CheckResult(NAME, Status.SKIPPED, "no ground truth was given", required=False)
        return
    if scored.result is None:
        yield CheckResult(NAME, Status.FAILED, scored.missing)
        return
    if not scored.settings.floors:
        message = f"{scored.result.headline}; no floor was set, so nothing was asked of the figures"
        yield CheckResult(NAME, Status.SKIPPED, message, required=False)
    for figure, least in scored.settings.floors.items():
        found = scored.result.figures.get(figure)
        name = f"{NAME}: {figure} >= {least:g}"
        if found is None:
            message = f"there is no such figure{suggest(figure, scored.result.figures)}"
            yield CheckResult(name, Status.ERROR, message)
            continue
        status = Status.PASSED if found >= least else Status.FAILED
        details = {"figure": figure, "min": least, "value": found}
        yield CheckResult(name, status, f"{found:.4g} in {len(scored.frames)} frames", details=details)


def _paired(
    clouds: Sequence[CloudFate], truths: Mapping[int, GroundTruth], match_ms: float
) -> list[tuple[CloudFate, GroundTruth]]:
    """Every ground truth with the cloud of the nearest stamp; a cloud has one at most."""
    stamps = sorted(truths)
    best: dict[int, tuple[float, CloudFate]] = {}
    for cloud in clouds:
        at = bisect_left(stamps, cloud.stamp_ns)
        for stamp in stamps[max(0, at - 1) : at + 1]:
            apart = abs(stamp - cloud.stamp_ns) * 1e-6
            if apart <= match_ms and apart < best.get(stamp, (math.inf, cloud))[0]:
                best[stamp] = (apart, cloud)
    found: dict[int, tuple[float, CloudFate, GroundTruth]] = {}
    for stamp, (apart, cloud) in best.items():
        if apart < found.get(cloud.index, (math.inf,))[0]:
            found[cloud.index] = (apart, cloud, truths[stamp])
    return [(cloud, truth) for _, (_, cloud, truth) in sorted(found.items())]


def _scored(
    run: ReplayedBag, cloud: CloudFate, truth: GroundTruth, settings: DetectionMetricSettings
) -> ScoredFrame:
    if cloud.frame is None:
        found = truth.boxes.select(np.arange(0))
    else:
        found = replace(cloud.frame.detections, class_names=run.class_names)
    kept = filter_frame(EvaluatedFrame(cloud.sample_id, found, truth), settings)
    match = None
    if cloud.frame is not None:
        match = match_frame(kept.detections, kept.ground_truth, max_distance=settings.tp_threshold)
    return ScoredFrame(cloud, kept.ground_truth, match)


def _shares(matched: PrecisionRecall) -> Iterator[tuple[str, float]]:
    for name, counts in (*matched.classes.items(), ("all", matched.total)):
        for share in ("precision", "recall"):
            if (value := getattr(counts, share)) is not None:
                yield f"{share}/{name}", value


def _circle(config: Mapping[str, object]) -> float | None:
    """Radius of the circle inside the model's range [m], of a model that says its range."""
    borders = config.get(_RANGE_KEY)
    if not isinstance(borders, list | tuple) or len(borders) != 6:
        return None
    return min(abs(float(borders[axis])) for axis in (0, 1, 3, 4))
