"""Runs a pipeline over samples until its latency is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from awml_deploy_core.config.evaluation_schema import LatencySection
from awml_deploy_core.errors import AwmlDeployError, EvaluationError
from awml_deploy_core.evaluation.latency import (
    LatencyStatistics,
    MeasuredFrame,
    Stability,
    complete_frames,
    latency_statistics,
)
from awml_deploy_core.family import Sample
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.progress import Progress, no_progress

_GROWTH = 1.2
"""Frames between two looks at the percentile, as a factor."""


def _nothing() -> None:
    """All work of a frame is done when the pipeline returns."""


def measure_latency(
    pipeline: InferencePipeline[Any, Any],
    samples: Sequence[Sample],
    settings: LatencySection | None = None,
    *,
    synchronize: Callable[[], None] = _nothing,
    progress: Progress = no_progress,
    task: str = "latency",
) -> LatencyStatistics:
    """Measure until the chosen percentile is stable, or the most frames or seconds are reached.

    Samples are held in memory and run in turn, so that reading files is no part of it.

    Args:
        pipeline: What to run; its own clocks give the stages, CUDA events where they are used.
        samples: Loaded where they are chosen.
        settings: When to stop.
        synchronize: Called before the end-to-end clock is read, for devices that work on after
            the pipeline has returned.
        progress: Told after every frame; the total is what is known to be needed so far.
        task: Name for the progress.

    Raises:
        EvaluationError: There is no sample that could be loaded.
        AwmlDeployError: The pipeline failed.
    """
    settings = settings or LatencySection()
    held = load_spread(samples, settings.num_samples)
    pipeline.warm_up()
    for index in range(settings.warm_up_frames):
        pipeline.infer(held[index % len(held)].input)
    synchronize()
    frames: list[MeasuredFrame] = []
    look_at = settings.min_frames
    start = time.monotonic()
    while True:
        sample = held[len(frames) % len(held)]
        began = time.perf_counter_ns()
        result = pipeline.infer(sample.input)
        synchronize()
        took = (time.perf_counter_ns() - began) * 1e-6
        frames.append(MeasuredFrame(sample.sample_id, took, result.latencies))
        progress(task, len(frames), max(look_at, len(frames)))
        if len(frames) >= settings.max_frames or time.monotonic() - start > settings.max_seconds:
            break
        if len(frames) >= look_at:
            if _is_stable(frames, settings):
                break
            look_at = min(int(len(frames) * _GROWTH) + 1, settings.max_frames)
    return latency_statistics(
        frames,
        percentile=settings.percentile,
        confidence=settings.confidence,
        tolerance=settings.tolerance,
        warm_up_frames=settings.warm_up_frames,
        seconds=time.monotonic() - start,
    )


def _is_stable(frames: Sequence[MeasuredFrame], settings: LatencySection) -> bool:
    totals = np.array([frame.end_to_end_ms for frame in complete_frames(frames)])
    return Stability.of(totals, settings.percentile, settings.confidence, settings.tolerance).stable


def load_spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Samples spread evenly over all, in memory; those that cannot be loaded are left out.

    Raises:
        EvaluationError: None could be loaded.
    """
    held: list[Sample] = []
    problem: AwmlDeployError | None = None
    if not len(samples):
        count = 0
    for index in sorted({round(place) for place in np.linspace(0, len(samples) - 1, count)}):
        try:
            held.append(samples[index])
        except AwmlDeployError as error:
            problem = error
    if not held:
        raise EvaluationError("latency", "there is no sample to run", got=problem)
    return held
