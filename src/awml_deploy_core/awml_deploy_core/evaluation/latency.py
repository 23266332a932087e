"""Latency statistics: stages and end to end, how well a percentile is known, and what stands out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import EvaluationError
from awml_deploy_core.evaluation.metrics import MetricRecord
from awml_deploy_core.evaluation.stability import frames_needed, percentile_interval
from awml_deploy_core.pipeline import StageLatencies

END_TO_END = "end_to_end"
_BINS = 40
_FAR_OUT = 3.0
"""Tukey's factor of the interquartile range beyond which a value is far out."""
_MOST_OUTLIERS = 20


@dataclass(frozen=True)
class MeasuredFrame:
    """What one frame took."""

    sample_id: str
    end_to_end_ms: float
    """From the input to the decoded output, by the monotonic host clock [ms]."""
    stages: StageLatencies


class StageStatistics(MetricRecord):
    """One stage over the frames that ran it [ms]."""

    stage: str
    clock: str
    """``cpu``: monotonic host clock; ``cuda``: CUDA events."""
    frames: int
    mean: float
    std: float
    min: float
    p50: float
    p90: float
    p95: float
    p99: float
    p99_9: float
    max: float

    @classmethod
    def of(cls, stage: str, clock: str, values: npt.NDArray[Any]) -> StageStatistics:
        """Statistics of one or more values; the standard deviation is that of the values themselves."""
        p50, p90, p95, p99, p99_9 = np.percentile(values, (50, 90, 95, 99, 99.9)).tolist()
        return cls(
            stage=stage,
            clock=clock,
            frames=len(values),
            mean=float(values.mean()),
            std=float(values.std()),
            min=float(values.min()),
            p50=p50,
            p90=p90,
            p95=p95,
            p99=p99,
            p99_9=p99_9,
            max=float(values.max()),
        )


class Stability(MetricRecord):
    """Whether a percentile of the end-to-end latency is known well enough."""

    percentile: float
    value: float
    low: float | None = None
    """Lower end of the confidence interval [ms]; None with too few frames."""
    high: float | None = None
    """Upper end [ms]; None with too few frames."""
    confidence: float
    tolerance: float
    """Largest distance of an end from the value, as a share of it."""
    stable: bool
    message: str

    @classmethod
    def of(
        cls, values: npt.NDArray[Any], percentile: float, confidence: float, tolerance: float
    ) -> Stability:
        """Judge end-to-end latencies, float [N] [ms]."""
        interval = percentile_interval(values, percentile, confidence)
        width = interval.half_width()
        name = f"p{percentile:g} {interval.value:.2f} ms"
        if width is None:
            needed = frames_needed(percentile, confidence)
            message = f"{name} is not known: {len(values)} frames, at least {needed} are needed"
        else:
            inside = f"{name} is within {width:.1%} at {confidence:.0%} confidence"
            message = inside if width <= tolerance else f"{inside}, which is more than {tolerance:.1%}"
        return cls(
            percentile=percentile,
            value=interval.value,
            low=interval.low,
            high=interval.high,
            confidence=confidence,
            tolerance=tolerance,
            stable=width is not None and width <= tolerance,
            message=message,
        )


class Outlier(MetricRecord):
    """A frame that took far longer than the others."""

    sample: str
    frame: int
    """Position among the measured frames."""
    milliseconds: float
    slowest_stage: str | None = None


class LatencyStatistics(MetricRecord):
    """Latency of one backend."""

    warm_up_frames: int
    samples: int
    """Different samples run in turn."""
    frames: int
    """Frames measured."""
    incomplete_frames: int
    """Of these, frames that ended early (an empty cloud): no part of the end-to-end figures."""
    seconds: float
    """Duration of the measurement."""
    throughput_hz: float
    """Frames that run to the end in a second, one after the other."""
    end_to_end: StageStatistics
    stages: tuple[StageStatistics, ...]
    stability: Stability
    num_outliers: int
    outliers: tuple[Outlier, ...]
    """The slowest of them."""
    histogram_edges: tuple[float, ...]
    """Borders of the bins [ms]; what is slower than the last is in the last bin."""
    histogram: tuple[int, ...]


def latency_statistics(
    frames: Sequence[MeasuredFrame],
    *,
    percentile: float = 95.0,
    confidence: float = 0.95,
    tolerance: float = 0.05,
    warm_up_frames: int = 0,
    seconds: float = 0.0,
) -> LatencyStatistics:
    """Statistics of measured frames.

    A frame that runs fewer stages than others, such as an empty cloud, counts for the stages that it
    ran and for nothing else.

    Raises:
        EvaluationError: There is no frame.
    """
    if not frames:
        raise EvaluationError("latency", "no frame was measured", expected="at least one")
    complete = complete_frames(frames)
    totals = np.array([frame.end_to_end_ms for frame in complete])
    outliers = _outliers(frames, complete)
    edges, counts = _histogram(totals)
    return LatencyStatistics(
        warm_up_frames=warm_up_frames,
        samples=len({frame.sample_id for frame in frames}),
        frames=len(frames),
        incomplete_frames=len(frames) - len(complete),
        seconds=seconds,
        throughput_hz=1e3 / float(totals.mean()),
        end_to_end=StageStatistics.of(END_TO_END, "cpu", totals),
        stages=_stages(frames),
        stability=Stability.of(totals, percentile, confidence, tolerance),
        num_outliers=len(outliers),
        outliers=tuple(outliers[:_MOST_OUTLIERS]),
        histogram_edges=edges,
        histogram=counts,
    )


def complete_frames(frames: Sequence[MeasuredFrame]) -> list[MeasuredFrame]:
    """The frames that ran as many stages as any."""
    most = max((len(frame.stages.stages) for frame in frames), default=0)
    return [frame for frame in frames if len(frame.stages.stages) == most]


def _stages(frames: Sequence[MeasuredFrame]) -> tuple[StageStatistics, ...]:
    columns: dict[tuple[str, str], list[float]] = defaultdict(list)
    for frame in frames:
        for stage in frame.stages.stages:
            columns[stage.name, stage.clock].append(stage.milliseconds)
    return tuple(StageStatistics.of(*key, np.array(values)) for key, values in columns.items())


def _outliers(frames: Sequence[MeasuredFrame], complete: Sequence[MeasuredFrame]) -> list[Outlier]:
    """Frames far out by Tukey's rule, slowest first."""
    low, high = np.percentile([frame.end_to_end_ms for frame in complete], (25, 75))
    limit = high + _FAR_OUT * (high - low)
    found = [
        Outlier(
            sample=frame.sample_id,
            frame=position,
            milliseconds=frame.end_to_end_ms,
            slowest_stage=_slowest(frame.stages),
        )
        for position, frame in enumerate(frames)
        if frame.end_to_end_ms > limit
    ]
    return sorted(found, key=lambda outlier: -outlier.milliseconds)


def _slowest(stages: StageLatencies) -> str | None:
    if not stages.stages:
        return None
    return max(stages.stages, key=lambda stage: stage.milliseconds).name


def _histogram(totals: npt.NDArray[Any]) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Bins up to the 99.5th percentile: a single outlier would squeeze all others into one."""
    low, high = float(totals.min()), float(np.percentile(totals, 99.5))
    edges = np.linspace(low, max(high, low + 1e-3), _BINS + 1)
    counts, _ = np.histogram(np.minimum(totals, edges[-1]), edges)
    return tuple(edges.tolist()), tuple(counts.tolist())
