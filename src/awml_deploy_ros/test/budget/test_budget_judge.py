"""Autoware's two steps."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.pipeline import StageLatencies, StageLatency
from awml_deploy_ros.budget import BudgetJudge, LatencyBudget, judge_frames, timed_items
from awml_deploy_ros.health import Level

MS = 1_000_000


def budget(limit_ms: float = 100.0, delay_ms: float = 250.0) -> LatencyBudget:
    return LatencyBudget.model_validate(
        {
            "max_acceptable_consecutive_delay_ms": delay_ms,
            "stages": {"nms": {"max_allowed_processing_time_ms": limit_ms}},
        }
    )


def levels(latencies: list[float], delay_ms: float = 250.0) -> list[Level]:
    """Levels after each of frames 100 ms apart."""
    judge = BudgetJudge(budget(delay_ms=delay_ms))
    return [judge.add(i * 100 * MS, {"nms": ms}).level for i, ms in enumerate(latencies)]


def test_a_late_frame_is_a_warning_and_late_frames_an_error() -> None:
    assert levels([50, 101, 50, 101, 101, 101, 101, 50]) == [
        *(Level.OK, Level.WARN, Level.OK, Level.WARN, Level.WARN, Level.ERROR, Level.ERROR),
        Level.OK,
    ]


def test_who_starts_late_is_late_since_the_first_frame() -> None:
    assert levels([101, 101, 101, 101]) == [Level.WARN] * 3 + [Level.ERROR]


def test_the_limits_themselves_are_in_time() -> None:
    assert levels([100.0]) == [Level.OK]
    assert levels([101, 101, 101], delay_ms=200.0)[-1] == Level.WARN


def test_nan_is_not_in_time() -> None:
    assert levels([math.nan]) == [Level.WARN]


def test_what_was_never_measured_is_said() -> None:
    state = judge_frames(budget(), [(0, StageLatencies((StageLatency("decode", 1.0),)), 1.0)])
    assert state.not_measured == ("nms",)
    assert state.level == Level.OK


def test_the_message_names_the_worst_first() -> None:
    limits = {"max_allowed_processing_time_ms": 10}
    judge = BudgetJudge(
        LatencyBudget.model_validate(
            {"max_acceptable_consecutive_delay_ms": 50, "stages": {"nms": limits, "decode": limits}}
        )
    )
    judge.add(0, {"nms": 1.0, "decode": 11.0})
    state = judge.add(100 * MS, {"nms": 20.0, "decode": 30.0})
    # nms was in time 100 ms ago, too.
    assert state.message().startswith("nms took 20.0 ms, allowed 10.0 ms, for 0.1 s; decode took 30.0 ms")
    assert judge.add(200 * MS, {"nms": 1.0}).items[1].last_ms == 30.0


def test_items_of_a_frame() -> None:
    stages = StageLatencies(
        tuple(
            StageLatency(name, ms)
            for name, ms in (("queue", 5.0), ("decode", 2.0), ("nms", 1.0), ("nms", 2.0), ("publish", 9.0))
        )
    )
    items = timed_items(stages, 20.0, 100.0)
    assert items["nms"] == 3.0
    assert (items["processing_time"], items["end_to_end"], items["cyclic_time"]) == (5.0, 20.0, 100.0)
    assert "cyclic_time" not in timed_items(stages, 20.0)


@given(st.lists(st.floats(0, 300), min_size=1, max_size=60))
def test_the_judgement_by_its_definition(latencies: list[float]) -> None:
    frames = [
        (i * 100 * MS, StageLatencies((StageLatency("nms", ms),)), ms) for i, ms in enumerate(latencies)
    ]
    (item,) = judge_frames(budget(), frames).items
    run = longest = 0
    for index, ms in enumerate(latencies):
        # The distance to the last frame in time; who starts late counts from the first frame.
        run = 0 if ms <= 100.0 or index == 0 else run + 1
        longest = max(longest, run)
    assert item.late == sum(ms > 100.0 for ms in latencies)
    assert item.longest_late_ms == pytest.approx(longest * 100)
    assert (item.worst_level == Level.ERROR) == (longest * 100 > 250.0)
    assert item.worst_ms == max(latencies)
