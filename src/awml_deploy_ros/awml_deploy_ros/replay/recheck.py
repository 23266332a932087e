"""The same clouds once more: is the result the same, bit by bit, and does the reference agree?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from awml_deploy_core.artifacts.bundle import ModelBundle
from awml_deploy_core.config.verification import Precision
from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.family import Sample
from awml_deploy_core.points import PointCloudFrame
from awml_deploy_core.runner.pipelines import assemble_pipeline
from awml_deploy_core.verification import CheckResult, Endpoint, Status
from awml_deploy_core.verification.comparators import compare_results
from awml_deploy_core.verification.level_clock import LevelClock
from awml_deploy_core.verification.orchestrator import session_precision
from awml_deploy_core.verification.sample_checks import BOXES, SampleChecker
from awml_deploy_core.verification.tolerances import Tolerances, coarsest, resolve
from awml_deploy_ros.live.recording import RecordedFrame
from awml_deploy_ros.replay.frames import CloudFate, ReplayedBag
from awml_deploy_ros.replay.node_settings import NodeValues
from awml_deploy_ros.replay.offline import OpenNode, open_node, replayed

DETERMINISM, AGREEMENT = "determinism", "agreement with the reference"
_MOST = 10
"""Frames that a message spells out."""
_COLUMNS = ("centers", "sizes", "yaws", "velocities", "scores", "labels")


@dataclass(frozen=True)
class RecheckSettings:
    """What is run again."""

    clouds: int = -1
    """How many clouds from the start; -1 is all, 0 none."""
    reference: Endpoint | None = None
    """None compares with no reference."""
    checkpoint: str = ""
    """Trained weights, for a reference that runs the module itself."""


def recheck(
    run: ReplayedBag,
    values: NodeValues,
    settings: RecheckSettings,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[CheckResult, ...]:
    """Run the clouds that were processed through a freshly opened pipeline and through the reference.

    In live mode this compares what the node published with what the bag gives offline: those clouds
    are taken that the node processed, with the past sweeps that they had there.

    Raises:
        AwmlDeployError: The model or the reference cannot be opened, or the bag is damaged.
    """
    chosen = run.processed if settings.clouds < 0 else run.processed[: settings.clouds]
    if not chosen:
        reason = "no cloud was processed" if settings.clouds else "not asked for"
        skipped = CheckResult(DETERMINISM, Status.SKIPPED, reason, required=False)
        return skipped, _no_reference(settings, reason)
    with open_node(values) as node:
        bits = _Determinism(run.mode == "live")
        if settings.reference is None:
            _pass(run, node, chosen, (bits,), progress)
            return bits.result(), _no_reference(settings, "no reference was named")
        bundle = ModelBundle.open(Path(values.settings.model_path).expanduser())
        reference = assemble_pipeline(
            bundle,
            settings.reference.backend,
            settings.reference.device,
            values.options,
            values.settings.num_threads,
            settings.checkpoint or None,
        )
        with reference:
            precision = _precision(bundle, settings.reference, (reference, node.pipeline))
            agreement = _Agreement(settings.reference, reference, node, resolve({}, precision))
            _pass(run, node, chosen, (bits, agreement), progress)
        return bits.result(), agreement.result()


def _no_reference(settings: RecheckSettings, reason: str) -> CheckResult:
    """Nobody asked for it, or it was asked for and could not be done."""
    return CheckResult(AGREEMENT, Status.SKIPPED, reason, required=settings.reference is not None)


def _precision(bundle: ModelBundle, endpoint: Endpoint, pipelines: Sequence[Any]) -> Precision:
    """The coarsest of what the bundle's files were exported with and what the sessions say."""
    manifest = bundle.manifest
    exported = manifest.provenance.export.values() if manifest is not None else ()
    recorded = [item.get("precision") for item in exported if isinstance(item, dict)]
    return coarsest([*recorded, *(session_precision(endpoint, pipeline) for pipeline in pipelines)])


def _pass(
    run: ReplayedBag,
    node: OpenNode,
    chosen: Sequence[CloudFate],
    judges: Sequence[Any],
    progress: Callable[[int, int], None],
) -> None:
    clouds = {cloud.index: cloud for cloud in chosen}
    last = max(clouds)
    # Of the other clouds only those matter that served as past sweeps.
    past_ns = {stamp for cloud in chosen if cloud.frame for stamp in cloud.frame.past_stamps_ns}
    superseded = {cloud.index for cloud in run.clouds if cloud.frame is None and cloud.stamp_ns in past_ns}
    again_all = replayed(run.source, node, only=clouds.keys(), superseded=superseded, notes=[])
    for done, again in enumerate(again_all, start=1):
        before = clouds[again.fate.index]
        for judge in judges:
            judge.add(before, again.fate, again.sample)
        progress(done, len(clouds))
        if again.fate.index == last:
            return


@dataclass(eq=False)
class _Determinism:
    """Compares every bit of the boxes of both runs."""

    is_live: bool
    equal: int = field(default=0, init=False)
    other_input: list[str] = field(default_factory=list, init=False)
    different: list[str] = field(default_factory=list, init=False)

    def add(self, before: CloudFate, again: CloudFate, sample: PointCloudFrame | None) -> None:
        first, second = before.frame, again.frame
        assert first is not None
        if second is not None and first.past_stamps_ns != second.past_stamps_ns:
            self.other_input.append(before.sample_id)
        elif second is not None and same_bits(first, second):
            self.equal += 1
        else:
            self.different.append(before.sample_id)

    def result(self) -> CheckResult:
        words = "the node's frames and those of an offline run" if self.is_live else "two runs"
        compared = self.equal + len(self.different)
        message = f"{self.equal} of {compared} frames are equal bit by bit in {words}"
        if self.different:
            message += f"; not {', '.join(self.different[:_MOST])}"
        if self.other_input:
            message += f"; {len(self.other_input)} frames had other past sweeps, e.g. a transform came late"
        # Offline nothing may differ, not even the input; live it may, by the timing of transforms.
        failed = self.different or not compared or (self.other_input and not self.is_live)
        details = {"equal": self.equal, "different": self.different, "other_input": self.other_input}
        return CheckResult(
            DETERMINISM, Status.FAILED if failed else Status.PASSED, message, details=details
        )


def same_bits(one: RecordedFrame, two: RecordedFrame) -> bool:
    """Whether the boxes of two frames are equal bit by bit."""
    a, b = one.detections, two.detections
    return all(getattr(a, name).tobytes() == getattr(b, name).tobytes() for name in _COLUMNS)


@dataclass(eq=False)
class _Agreement:
    """Matches the boxes of the run with those of the reference, as the verification does."""

    endpoint: Endpoint
    reference: Any
    node: OpenNode
    tolerances: Tolerances
    matched: int = field(default=0, init=False)
    frames: int = field(default=0, init=False)
    empty: int = field(default=0, init=False)
    other_input: int = field(default=0, init=False)
    failures: list[dict[str, Any]] = field(default_factory=list, init=False)
    borderline: list[dict[str, Any]] = field(default_factory=list, init=False)
    worst: dict[str, float] = field(default_factory=dict, init=False)

    def add(self, before: CloudFate, again: CloudFate, sample: PointCloudFrame | None) -> None:
        frame = before.frame
        if sample is None or again.frame is None or frame is None:
            self._fail(before, "the cloud could not be run again", {})
            return
        if frame.past_stamps_ns != again.frame.past_stamps_ns:
            self.other_input += 1
            return
        self.frames += 1
        try:
            expected = self.reference.infer(sample).output
        except AwmlDeployError as error:
            self._fail(before, f"the reference failed: {error}", {})
            return
        found = replace(frame.detections, class_names=self.node.class_names)
        comparison = compare_results(self.tolerances).compare(expected, found)
        if comparison:
            self._count(comparison.details)
            self.empty += comparison.is_empty
            return
        if not same_bits(frame, again.frame):
            self._fail(before, comparison.message(), comparison.details)
            return
        # Rounding may have decided: ask both pipelines how narrowly.
        checker = SampleChecker(
            "replay", self.tolerances, compare_results(self.tolerances), frozenset({BOXES})
        )
        sampled = Sample(before.sample_id, sample)
        for check in checker.check(sampled, self.reference, self.node.pipeline, LevelClock()):
            if check.status is Status.FAILED:
                self._fail(before, check.message, check.details)
            else:
                self._count(check.details)
                self.borderline += [
                    {"sample": before.sample_id, **box} for box in check.details.get("borderline", ())
                ]

    def result(self) -> CheckResult:
        compared = self.frames - self.empty
        message = (
            f"{self.matched} boxes of {self.frames} frames matched one to one with {self.endpoint}, "
            f"tolerances of {self.tolerances.precision}"
        )
        if self.worst:
            message += f", position within {self.worst.get('position', 0.0):.2e} m"
        if self.borderline:
            message += f", {len(self.borderline)} borderline"
        if self.other_input:
            message += f", {self.other_input} frames had other past sweeps and are not compared"
        if self.failures:
            listed = "; ".join(f"{item['sample']}: {item['message']}" for item in self.failures[:_MOST])
            message = f"{len(self.failures)} of {self.frames} frames disagree: {listed}"
        elif not compared:
            message = "nothing to compare: no frame has a box"
        failed = self.failures or not compared
        details = {
            "reference": str(self.endpoint),
            "precision": self.tolerances.precision,
            "matched": self.matched,
            "frames": self.frames,
            "worst": self.worst,
            "borderline": self.borderline,
            "failures": self.failures,
        }
        return CheckResult(AGREEMENT, Status.FAILED if failed else Status.PASSED, message, details=details)

    def _count(self, details: Any) -> None:
        self.matched += int(details.get("matched", 0))
        for name, value in details.get("worst", {}).items():
            self.worst[name] = max(self.worst.get(name, 0.0), value)

    def _fail(self, cloud: CloudFate, message: str, details: Any) -> None:
        kept = {key: details[key] for key in ("only_in_reference", "only_in_test") if key in details}
        self.failures.append({"sample": cloud.sample_id, "message": message, **kept})
