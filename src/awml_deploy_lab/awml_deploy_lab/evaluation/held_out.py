"""A bundle on simulated scenes that its training never saw.

Command line: ``python -m awml_deploy_lab.evaluation.held_out BUNDLE --frames 400 --json metrics.json``

Other seeds and other parameters than the training's; the whole pipeline of the vehicle, with a low
score threshold, as average precision needs it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.evaluation import (
    DetectionMetrics,
    DetectionMetricSettings,
    EvaluatedFrame,
    evaluate_detections,
)
from awml_deploy_core.evaluation.detection3d_tables import headline, metric_tables
from awml_deploy_core.evaluation.metrics import MetricRecord
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.files import sha256_file, write_text
from awml_deploy_core.points import PointCloudFrame, PointColumns, Sweep
from awml_deploy_core.runner.pipelines import open_pipeline
from awml_deploy_lab.simulation.drive import SimulatedDrive
from awml_deploy_lab.simulation.parameters import HELD_OUT
from awml_deploy_lab.simulation.sweep import SimulatedSweep

FIRST_SEED = 900_000_000
"""Of the scenes; training draws from other streams altogether."""
SCORE_THRESHOLD = 0.05
CLASS_RANGES = {"CAR": 50.0, "TRUCK": 50.0, "BUS": 50.0, "BICYCLE": 40.0, "PEDESTRIAN": 40.0}
"""nuScenes' detection ranges of these classes [m]."""
_FRAMES_A_DRIVE = 2
_FRAMES_APART = 25
"""Sweeps between two frames of a drive."""


def frame_of(current: SimulatedSweep, past: Sequence[SimulatedSweep]) -> PointCloudFrame:
    """The current sweep and past ones, each in ``base_link`` at its own stamp with its transform."""
    to_current = np.linalg.inv(current.pose)
    sweeps = [Sweep(_columns(current))]
    for sweep in past:
        lag = (current.stamp_ns - sweep.stamp_ns) * 1e-9
        sweeps.append(Sweep(_columns(sweep), lag, to_current @ sweep.pose))
    return PointCloudFrame(tuple(sweeps), "base_link", current.stamp_ns)


def _columns(sweep: SimulatedSweep) -> PointColumns:
    return PointColumns(sweep.xyz[:, 0], sweep.xyz[:, 1], sweep.xyz[:, 2], sweep.intensity)


def held_out_frames(
    count: int, past_sweeps: int, first_seed: int = FIRST_SEED
) -> Iterator[tuple[str, PointCloudFrame, SimulatedSweep]]:
    """``count`` frames of drives with held-out parameters: identity, input, current sweep."""
    for index in range(count):
        number, turn = divmod(index, _FRAMES_A_DRIVE)
        if turn == 0:
            duration = (_FRAMES_A_DRIVE * _FRAMES_APART) * 0.1
            drive = SimulatedDrive(first_seed + number, HELD_OUT, duration=duration)
        at = past_sweeps + turn * _FRAMES_APART
        sweeps = [drive.sweep(at - back) for back in range(past_sweeps + 1)]
        yield f"{first_seed + number}_{at}", frame_of(sweeps[0], sweeps[1:]), sweeps[0]


class HeldOutResult(MetricRecord):
    """Metrics of a bundle and everything that they depend on."""

    bundle: dict[str, str]
    """SHA-256 by ONNX file."""
    frames: int
    past_sweeps: int
    first_seed: int
    score_threshold: float
    metrics: DetectionMetrics


def evaluate(
    bundle: Path, frames: int, past_sweeps: int, settings: DetectionMetricSettings
) -> HeldOutResult:
    """nuScenes metrics of a bundle in ONNX Runtime on the CPU.

    Raises:
        AwmlDeployError: The bundle cannot be opened, or nothing could be evaluated.
    """
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    options = {"default_score_threshold": SCORE_THRESHOLD, "remap_classes": False}
    results = []
    with open_pipeline(bundle, "onnxruntime", "cpu", options) as pipeline:
        pipeline.warm_up()
        source = held_out_frames(frames, past_sweeps)
        for name, sample, sweep in track(
            source, "Evaluating", frames, console=console, disable=not console.is_terminal
        ):
            results.append(EvaluatedFrame(name, pipeline.infer(sample).output, sweep.ground_truth))
    return HeldOutResult(
        bundle={path.name: sha256_file(path) for path in sorted(bundle.glob("*.onnx"))},
        frames=frames,
        past_sweeps=past_sweeps,
        first_seed=FIRST_SEED,
        score_threshold=SCORE_THRESHOLD,
        metrics=evaluate_detections(results, settings),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Evaluate a bundle on held-out simulated scenes.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--frames", type=int, default=400, help="default: %(default)s")
    parser.add_argument("--past-sweeps", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--min-points", type=int, default=1, help="of a box to count, default: %(default)s")
    parser.add_argument("--json", type=Path, help="write the metrics here")
    options = parser.parse_args(arguments)
    if min(options.frames, options.min_points) < 1 or options.past_sweeps < 0:
        parser.error("--frames and --min-points take at least 1, --past-sweeps at least 0")
    from rich.console import Console

    from awml_deploy_core.reporting.evaluation_terminal import print_line, print_table

    settings = DetectionMetricSettings(max_distance=CLASS_RANGES, min_points=options.min_points)
    try:
        result = evaluate(options.bundle, options.frames, options.past_sweeps, settings)
        if options.json:
            write_text(options.json, result.model_dump_json(indent=1) + "\n")
    except AwmlDeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    console = Console()
    for table in metric_tables(result.metrics):
        print_table(table, console)
    print_line(headline(result.metrics), console)
    return ExitCode.PASSED


if __name__ == "__main__":
    sys.exit(main())
