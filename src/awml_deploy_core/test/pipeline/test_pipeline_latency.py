import time

import pytest

from awml_deploy_core.pipeline import StageClock, StageLatencies, StageLatency


def test_stages_come_in_the_order_they_ended() -> None:
    clock = StageClock()
    with clock.stage("decode"):
        time.sleep(0.002)
    clock.add("encode", 1.5, "cuda")
    result = clock.result()
    assert [stage.name for stage in result.stages] == ["decode", "encode"]
    assert [stage.clock for stage in result.stages] == ["cpu", "cuda"]
    assert result.as_dict()["decode"] >= 2.0
    assert result.total_ms == pytest.approx(result.as_dict()["decode"] + 1.5)


def test_a_stage_that_fails_is_still_timed() -> None:
    clock = StageClock()
    with pytest.raises(ValueError, match="boom"), clock.stage("nms"):
        raise ValueError("boom")
    assert [stage.name for stage in clock.result().stages] == ["nms"]


def test_a_result_does_not_change_when_the_clock_goes_on() -> None:
    clock = StageClock()
    clock.add("a", 1.0)
    result = clock.result()
    clock.add("b", 1.0)
    assert result == StageLatencies((StageLatency("a", 1.0),))


def test_latencies_add_up() -> None:
    total = StageLatencies((StageLatency("a", 1.0),)) + StageLatencies((StageLatency("b", 2.0),))
    assert total.as_dict() == {"a": 1.0, "b": 2.0}
    assert StageLatencies().total_ms == 0
