"""The replay of one bag, from a request to its result files."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from awml_deploy_core.files import io_errors
from awml_deploy_core.reporting import Report
from awml_deploy_core.reporting.build import exit_code
from awml_deploy_core.runner.reports import bundle_provenance, make_report
from awml_deploy_core.verification import CheckResult, Status, Verdict
from awml_deploy_core.verification.tolerances import DEFAULTS
from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.live import LiveSettings
from awml_deploy_ros.model import bundle_identity
from awml_deploy_ros.replay.accuracy import (
    AccuracySettings,
    Scored,
    accuracy_checks,
    ground_truth_file,
    score,
)
from awml_deploy_ros.replay.box_diff import compare_replays
from awml_deploy_ros.replay.checks import budget_check, fate_checks
from awml_deploy_ros.replay.find_rate import RateSearch, find_rate
from awml_deploy_ros.replay.frame_file import FRAMES, StoredFrames, read_frames, stored, write_frames
from awml_deploy_ros.replay.frames import CloudFate, ReplayedBag
from awml_deploy_ros.replay.judge import Extras, replay_record
from awml_deploy_ros.replay.live_mode import replay_live
from awml_deploy_ros.replay.node_settings import NODE, NodeValues, read_node_values
from awml_deploy_ros.replay.offline import open_node, replayed
from awml_deploy_ros.replay.output_bag import OUTPUT_BAG, output_bag
from awml_deploy_ros.replay.pictures import draw_frames
from awml_deploy_ros.replay.recheck import RecheckSettings, recheck
from awml_deploy_ros.replay.regression import NAME as REGRESSION
from awml_deploy_ros.replay.regression import regression_check
from awml_deploy_ros.replay.request import ReplayRequest, parse_endpoint
from awml_deploy_ros.replay.score_lines import FILE as SCORE_LINES
from awml_deploy_ros.replay.score_lines import write_score_lines

COMMAND = "replay"
_FIND_RATE = "find_rate"

Progress = Callable[[str, int, int], None]
"""Told a task, how much of it is done, and of how much."""


@dataclass(frozen=True, eq=False)
class _Inputs:
    """What is read before anything runs, so that a wrong path costs no time."""

    request: ReplayRequest
    values: NodeValues
    source: CloudTopic
    accuracy: AccuracySettings | None
    baseline: StoredFrames | None


def run_job(request: ReplayRequest, progress: Progress) -> Report:
    """Replay a bag, judge it and write ``frames.jsonl``, ``result.jsonl`` and the output bag.

    Results of an earlier run in the same folder are removed first.

    Raises:
        AwmlDeployError: The bag, the model or anything else that was named is missing or damaged.
    """
    start = time.monotonic()
    inputs = _read(request)
    _clear(request.folder)
    identity = bundle_identity(inputs.values.settings)
    run = _replay(inputs, progress)
    write_frames(request.folder / FRAMES, run.clouds, identity.bundle_hash)
    scored = None
    if inputs.accuracy is not None:
        scored = score(run, Path(request.model), inputs.accuracy)
    checks = tuple(_checks(inputs, run, scored, identity.bundle_hash, progress))
    write_score_lines(request.folder / SCORE_LINES, run, checks, scored)
    rate = _find_rate(inputs, run.class_names, progress) if request.find_rate else None
    if rate is not None:
        checks = (*checks, rate.check)
    pictures = draw_frames(run, inputs.values, checks, scored, request.folder, request.pictures)
    extras = Extras(pictures, None if rate is None else rate.highest_hz, scored)
    return make_report(
        COMMAND,
        request.name,
        seconds=time.monotonic() - start,
        bundle=request.model,
        provenance=bundle_provenance(Path(request.model)),
        replay=replay_record(run, inputs.values.settings, checks, extras),
        exit_code=exit_code(Verdict(checks).status),
    )


def _read(request: ReplayRequest) -> _Inputs:
    named = {
        "model_path": request.model,
        "backend": request.backend,
        "device": request.device,
        "checkpoint_path": request.checkpoint,
    }
    overrides = {name: value for name, value in named.items() if value is not None}
    values = read_node_values(Path(request.parameters), overrides)
    source = CloudTopic.find(Path(request.bag), request.topic)
    given = None if request.ground_truth is None else Path(request.ground_truth)
    truth = ground_truth_file(Path(request.bag), given)
    accuracy = None
    if truth is not None:
        accuracy = AccuracySettings(
            truth, request.floors, request.match_ms, request.max_distance, request.min_points
        )
    return _Inputs(request, values, source, accuracy, _baseline(request))


def _baseline(request: ReplayRequest) -> StoredFrames | None:
    """The earlier result: of the folder given, or of that of the bag inside it."""
    if request.baseline is None:
        return None
    folder = Path(request.baseline)
    inside = [folder / name for name in dict.fromkeys((request.folder.name, request.name))]
    return read_frames(next((place for place in (folder, *inside) if (place / FRAMES).is_file()), folder))


def _clear(folder: Path) -> None:
    with io_errors(folder, "results cannot be written"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in (OUTPUT_BAG, "pictures", _FIND_RATE):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (FRAMES, SCORE_LINES, "result.json", "report.html", "junit.xml"):
            (folder / name).unlink(missing_ok=True)


def _replay(inputs: _Inputs, progress: Progress) -> ReplayedBag:
    if inputs.request.mode == "offline":
        return _replay_offline(inputs, progress)
    with open_node(inputs.values) as node:
        class_names = node.class_names
    return replay_live(
        inputs.source,
        inputs.request.folder,
        _live_settings(inputs),
        class_names,
        lambda now: progress(f"live: {now.phase}", now.counters.accounted, inputs.source.count),
    )


def _live_settings(inputs: _Inputs) -> LiveSettings:
    request, settings = inputs.request, inputs.values.settings
    return LiveSettings(
        Path(request.model),
        Path(request.parameters),
        settings.backend,
        settings.device,
        request.rate_hz,
        checkpoint_path=settings.checkpoint_path,
        attach=request.attach or "",
        input_topic=request.input_topic or "",
    )


def _replay_offline(inputs: _Inputs, progress: Progress) -> ReplayedBag:
    request, source = inputs.request, inputs.source
    notes: list[str] = []
    clouds: list[CloudFate] = []
    dropped: dict[str, int] = {}
    size = 0
    path = request.folder / OUTPUT_BAG
    with ExitStack() as stack:
        node = stack.enter_context(open_node(inputs.values))
        bag = stack.enter_context(output_bag(path, NODE, bundle_identity(inputs.values.settings)))
        start = time.monotonic()
        for cloud in replayed(source, node, notes=notes):
            size += cloud.size
            clouds.append(cloud.fate)
            if cloud.fate.frame is not None:
                bag.write(cloud.fate, cloud.header)
            else:
                dropped[cloud.fate.fate] = dropped.get(cloud.fate.fate, 0) + 1
            progress("replay", len(clouds), source.count)
        seconds = time.monotonic() - start
        class_names = node.class_names
    return ReplayedBag(
        source,
        "offline",
        tuple(clouds),
        len(clouds),
        dropped,
        len(clouds),
        seconds,
        size,
        class_names,
        path,
        notes=tuple(notes),
    )


def _checks(
    inputs: _Inputs, run: ReplayedBag, scored: Scored | None, model: str, progress: Progress
) -> Iterator[CheckResult]:
    request = inputs.request
    yield from fate_checks(run)
    yield budget_check(run, None if request.budget is None else Path(request.budget))
    reference = None if request.reference is None else parse_endpoint(request.reference)
    settings = RecheckSettings(request.recheck, reference, request.checkpoint or "")
    yield from recheck(run, inputs.values, settings, lambda done, total: progress("recheck", done, total))
    if inputs.baseline is None:
        yield CheckResult(REGRESSION, Status.SKIPPED, "no earlier result was given", required=False)
    else:
        before = inputs.baseline
        limits = DEFAULTS[request.baseline_limits].boxes
        diff = compare_replays(before.clouds, tuple(stored(run.clouds)), limits)
        yield regression_check(diff, before, model)
    yield from accuracy_checks(scored)


def _find_rate(inputs: _Inputs, class_names: tuple[str, ...], progress: Progress) -> RateSearch:
    folder = inputs.request.folder / _FIND_RATE

    def lossless(rate_hz: float) -> bool:
        progress(f"find rate: {rate_hz:.1f} Hz", 0, 1)
        place = folder / f"{rate_hz:.1f}"
        settings = replace(_live_settings(inputs), rate_hz=rate_hz)
        run = replay_live(inputs.source, place, settings, class_names)
        return len(run.processed) == inputs.source.count and not run.late

    return find_rate(lossless, inputs.request.rate_hz)
