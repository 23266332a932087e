"""From what happened in a live run to a record with a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from awml_deploy_core.reporting.build import latency_records
from awml_deploy_core.reporting.result import ReplayRecord
from awml_deploy_core.reporting.verification_build import check_record
from awml_deploy_core.verification import Verdict
from awml_deploy_ros.accounting import accounting_checks
from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.live.recording import Recording
from awml_deploy_ros.live.run import LiveOutcome, LiveSettings


def replay_record(
    source: CloudTopic,
    settings: LiveSettings,
    outcome: LiveOutcome,
    recording: Recording,
    pictures: Sequence[Path] = (),
) -> ReplayRecord:
    """The record of a live run, judged by :func:`~awml_deploy_ros.accounting.accounting_checks`."""
    frames, counters = recording.frames, recording.counters
    checks = tuple(
        accounting_checks(
            expected=source.count * settings.loops,
            sent=outcome.sent,
            accounted=counters.accounted,
            dropped=counters.dropped,
            recorded=len(frames),
            node_exit_code=outcome.node_exit_code,
        )
    )
    counts: Counter[str] = Counter()
    for frame in frames:
        counts.update(frame.detections.count_by_class())
    return ReplayRecord(
        source=f"{source.bag}#{source.name}",
        backend=settings.backend,
        device=settings.device,
        rate_hz=settings.rate_hz,
        seconds=outcome.seconds,
        sent=outcome.sent,
        sent_bytes=outcome.sent_bytes,
        late=outcome.late,
        received=counters.received,
        processed=counters.processed,
        dropped=dict(counters.dropped),
        with_past_sweeps=sum(frame.num_past_sweeps > 0 for frame in frames),
        without_past_sweeps=dict(
            Counter(frame.no_past_sweeps_reason for frame in frames if not frame.num_past_sweeps)
        ),
        detections_by_class=dict(counts),
        latencies=latency_records(
            [frame.stages for frame in frames], [frame.end_to_end_ms for frame in frames]
        ),
        node_memory_mb=outcome.node_memory_mb,
        output_bag=str(outcome.output_bag),
        pictures=tuple(str(path) for path in pictures),
        logs=tuple(str(path) for path in outcome.logs),
        status=Verdict(checks).status.value,
        checks=tuple(check_record(check) for check in checks),
    )
