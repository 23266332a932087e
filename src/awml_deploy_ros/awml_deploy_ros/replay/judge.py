"""From a replayed bag to a report with a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from awml_deploy_core.reporting.build import latency_records
from awml_deploy_core.reporting.result import BoxChangeRecord, LatencyRecord, RegressionRecord, ReplayRecord
from awml_deploy_core.reporting.verification_build import check_record
from awml_deploy_core.reporting.verification_result import BoxesRecord, BoxRecord
from awml_deploy_core.verification import CheckResult, Verdict
from awml_deploy_ros.replay.accuracy import Scored
from awml_deploy_ros.replay.frame_file import frames_digest
from awml_deploy_ros.replay.frames import ReplayedBag
from awml_deploy_ros.replay.recheck import AGREEMENT
from awml_deploy_ros.replay.regression import NAME as REGRESSION
from awml_deploy_ros.settings import NodeSettings

_BOX = ("class", "score", "center", "size", "yaw", "velocity")
_MOST_CHANGES = 500
"""Changed boxes that a report lists."""


@dataclass(frozen=True)
class Extras:
    """What a report shows besides the checks."""

    pictures: tuple[Path, ...] = ()
    highest_rate_hz: float | None = None
    scored: Scored | None = None
    """None where there is no ground truth."""


def replay_record(
    run: ReplayedBag, settings: NodeSettings, checks: Sequence[CheckResult], extras: Extras | None = None
) -> ReplayRecord:
    """The record of a replay with all of its checks.

    Args:
        run: What happened.
        settings: Of the node.
        checks: Every verdict, in the order in which they are shown.
        extras: What else is shown.
    """
    extras = extras or Extras()
    by_name = {check.name: check for check in checks}
    frames = run.frames
    return ReplayRecord(
        source=f"{run.source.bag}#{run.source.name}",
        mode=run.mode,
        backend=settings.backend,
        device=settings.device,
        rate_hz=run.rate_hz,
        seconds=run.seconds,
        sent=len(run.clouds),
        sent_bytes=run.bytes,
        late=run.late,
        received=run.received,
        processed=len(run.processed),
        dropped=dict(run.dropped),
        with_past_sweeps=sum(frame.num_past_sweeps > 0 for frame in frames),
        without_past_sweeps=run.without_past_sweeps(),
        detections_by_class=run.detections_by_class(),
        latencies=latency_records(
            [frame.stages for frame in frames], [frame.end_to_end_ms for frame in frames]
        ),
        transport=tuple(_transport(run)),
        digest=frames_digest(run.clouds),
        regression=_regression(by_name.get(REGRESSION)),
        agreement=_agreement(by_name.get(AGREEMENT)),
        accuracy=None if extras.scored is None else extras.scored.result,
        notes=(*run.notes, *_truth_notes(extras.scored)),
        highest_rate_hz=extras.highest_rate_hz,
        node_memory_mb=run.node_memory_mb,
        output_bag="" if run.output_bag is None else str(run.output_bag),
        pictures=tuple(map(str, extras.pictures)),
        logs=tuple(map(str, run.logs)),
        status=Verdict(checks).status.value,
        checks=tuple(check_record(_without_lists(check)) for check in checks),
    )


def _truth_notes(scored: Scored | None) -> Iterator[str]:
    if scored is not None:
        yield (
            f"ground truth: {scored.settings.file}, at the stamps of {len(scored.frames)} clouds; "
            f"{scored.unannotated} frames have none"
        )


def _transport(run: ReplayedBag) -> Iterator[LatencyRecord]:
    cycles = run.cyclic_ms
    jitter = [abs(later - earlier) for earlier, later in pairwise(cycles)]
    for name, values in (("transport", run.transit_ms), ("cycle", cycles), ("jitter", jitter)):
        if len(values):
            p50, p95, p99 = (float(value) for value in np.percentile(values, (50, 95, 99)))
            yield LatencyRecord(
                stage=name, clock="cpu", frames=len(values), p50=p50, p95=p95, p99=p99, max=max(values)
            )


def _without_lists(check: CheckResult) -> CheckResult:
    """Lists of boxes have records of their own."""
    if check.name not in (REGRESSION, AGREEMENT):
        return check
    details = {key: value for key, value in check.details.items() if not isinstance(value, list)}
    return CheckResult(check.name, check.status, check.message, check.required, details)


def _regression(check: CheckResult | None) -> RegressionRecord | None:
    if check is None or "compared" not in check.details:
        return None
    details: Mapping[str, Any] = check.details
    return RegressionRecord(
        **{
            key: details[key]
            for key in ("baseline", "same_model", "compared", "identical", "matched", "worst")
        },
        changes=tuple(BoxChangeRecord(**change) for change in details["changes"][:_MOST_CHANGES]),
        fates=tuple(details["fates"]),
        other_input=tuple(details["other_input"]),
    )


def _agreement(check: CheckResult | None) -> BoxesRecord | None:
    if check is None or "matched" not in check.details:
        return None
    details: Mapping[str, Any] = check.details
    evidence = tuple(_evidence(details))
    lone = [box for box in evidence if not box.borderline]
    matched = int(details["matched"])
    largest = matched + max(sum(box.side == side for box in evidence) for side in ("reference", "test"))
    return BoxesRecord(
        matched=matched,
        unmatched=len(lone),
        borderline=len(evidence) - len(lone),
        coverage=matched / largest if largest else 1.0,
        worst=dict(details["worst"]),
        evidence=evidence,
    )


def _evidence(details: Mapping[str, Any]) -> Iterator[BoxRecord]:
    for failure in details["failures"]:
        for side in ("reference", "test"):
            for item in failure.get(f"only_in_{side}", ()):
                yield _box(failure["sample"], side, item, borderline=False)
    for item in details["borderline"]:
        yield _box(item["sample"], item["side"], item, borderline=True)


def _box(sample: str, side: str, item: Mapping[str, Any], *, borderline: bool) -> BoxRecord:
    return BoxRecord(
        sample=sample,
        side=side,
        borderline=borderline,
        box={name: item[name] for name in _BOX if name in item},
        nearest=item.get("nearest"),
        why=item.get("why", ""),
        decision=item.get("decision"),
    )
