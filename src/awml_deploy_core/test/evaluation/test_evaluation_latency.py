from __future__ import annotations

import numpy as np
import pytest
from fake_backends import FakePipeline, unlabelled

from awml_deploy_core.config.evaluation_schema import LatencySection
from awml_deploy_core.errors import EvaluationError
from awml_deploy_core.evaluation.latency import MeasuredFrame, latency_statistics
from awml_deploy_core.evaluation.latency_run import measure_latency
from awml_deploy_core.pipeline import StageLatencies, StageLatency


def measured(total: float, *stages: float, name: str = "s") -> MeasuredFrame:
    found = tuple(StageLatency(f"stage{i}", value) for i, value in enumerate(stages))
    return MeasuredFrame(name, total, StageLatencies(found))


def test_figures_of_a_known_distribution() -> None:
    frames = [measured(float(i), float(i), 1.0) for i in range(1, 1002)]
    found = latency_statistics(frames, seconds=2.0, warm_up_frames=3)
    total = found.end_to_end
    shown = [total.min, total.p50, total.p90, total.p95, total.p99, total.p99_9, total.max]
    assert shown == pytest.approx([1, 501, 901, 951, 991, 1000, 1001])
    assert total.mean == 501
    assert total.std == pytest.approx(np.arange(1, 1002).std())
    assert found.throughput_hz == pytest.approx(1e3 / 501)
    assert [(stage.stage, stage.frames, stage.p50) for stage in found.stages] == [
        ("stage0", 1001, 501),
        ("stage1", 1001, 1),
    ]
    assert sum(found.histogram) == 1001
    assert (found.warm_up_frames, found.seconds, found.num_outliers) == (3, 2.0, 0)


def test_an_empty_cloud_makes_nothing_faster() -> None:
    frames = [measured(10.0, 4.0, 6.0)] * 4 + [measured(0.1, 0.1, name="empty")] * 4
    found = latency_statistics(frames)
    assert found.end_to_end.mean == 10.0
    assert (found.frames, found.incomplete_frames, found.samples) == (8, 4, 2)
    second = found.stages[1]
    assert (second.frames, second.min) == (4, 6.0)


def test_outliers_are_named_slowest_first() -> None:
    frames = [measured(10.0 + 0.01 * i, 9.0, 1.0) for i in range(100)]
    frames[40], frames[60] = measured(50.0, 1.0, 49.0, name="a"), measured(90.0, 89.0, 1.0, name="b")
    found = latency_statistics(frames)
    assert [(o.sample, o.frame, o.slowest_stage) for o in found.outliers] == [
        ("b", 60, "stage0"),
        ("a", 40, "stage1"),
    ]
    assert found.num_outliers == 2


def test_no_frame_is_no_statistics() -> None:
    with pytest.raises(EvaluationError, match="no frame"):
        latency_statistics([])


def test_it_stops_when_the_percentile_is_known() -> None:
    settings = LatencySection(percentile=50.0, tolerance=1e9, min_frames=30, max_frames=500, num_samples=3)
    pipeline = FakePipeline()
    synchronized = []
    found = measure_latency(pipeline, unlabelled(10), settings, synchronize=lambda: synchronized.append(1))
    assert found.stability.stable
    assert (found.frames, found.samples) == (30, 3)
    assert len(synchronized) == 31
    assert len(pipeline.seen) == 30 + settings.warm_up_frames
    assert set(pipeline.seen) == {0, 4, 9}


def test_it_says_that_it_is_not_known() -> None:
    settings = LatencySection(percentile=99.0, min_frames=10, max_frames=40)
    found = measure_latency(FakePipeline(), unlabelled(2), settings)
    assert found.frames == 40
    assert not found.stability.stable
    assert "at least 368 are needed" in found.stability.message
    assert found.stability.high is None


def test_it_stops_after_the_longest_time() -> None:
    settings = LatencySection(percentile=99.9, max_seconds=1e-6)
    assert measure_latency(FakePipeline(), unlabelled(2), settings).frames == 1


def test_without_samples_there_is_nothing_to_measure() -> None:
    with pytest.raises(EvaluationError, match="no sample"):
        measure_latency(FakePipeline(), [])
