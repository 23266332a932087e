"""Rolling statistics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.pipeline import StageLatency
from awml_deploy_ros.latency import RollingLatency

MILLISECONDS = st.lists(st.floats(0, 1e4), min_size=1, max_size=60)


@given(MILLISECONDS, st.integers(10, 30))
def test_statistics_cover_the_window(values: list[float], window: int) -> None:
    rolling = RollingLatency(window)
    for value in values:
        rolling.add([StageLatency("nms", value)])
    (summary,) = rolling.summaries()
    kept = np.array(values[-window:])
    assert summary.count == len(kept)
    assert summary.last == values[-1]
    assert summary.max == kept.max()
    assert summary.mean == pytest.approx(kept.mean())
    assert (summary.p50, summary.p95, summary.p99) == pytest.approx(
        tuple(np.percentile(kept, (50, 95, 99)))
    )


def test_stages_keep_their_order_and_clock() -> None:
    rolling = RollingLatency(10)
    for _ in range(3):
        rolling.add([StageLatency("voxelize", 1.0), StageLatency("nms", 2.0, "cuda")])
    assert [(s.name, s.clock, s.count) for s in rolling.summaries()] == [
        ("voxelize", "cpu", 3),
        ("nms", "cuda", 3),
    ]


def test_no_frames_no_statistics() -> None:
    assert RollingLatency(10).summaries() == ()
