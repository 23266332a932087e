"""The thread that owns the reference process, with a process that does as it is told."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from awml_deploy_core.detections import Detections
from awml_deploy_core.pipeline import StageLatencies
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_ros.frame import ProcessedFrame
from awml_deploy_ros.health import Level
from awml_deploy_ros.process import FatalErrors
from awml_deploy_ros.shadow import verifier as module
from awml_deploy_ros.shadow.exchange import codec_of
from awml_deploy_ros.shadow.process import ReferenceProcess
from awml_deploy_ros.shadow.settings import ShadowSettings
from awml_deploy_ros.shadow.verifier import Comparison, ShadowVerifier

PROGRAM = (str(Path(__file__).with_name("fake_reference.py")),)
FRAME = ProcessedFrame(
    SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=0)),
    Detections.empty(("CAR",)),
    StageLatencies(),
    {},
    0,
    sample=PointCloudFrame.single(PointColumns.from_array(np.ones((10, 4), np.float32))),
)


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> bool:
    end = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


class Shadow:
    """A verifier whose process behaves in one way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, mode: str, **settings: object) -> None:
        monkeypatch.setenv("FAKE_REFERENCE", mode)
        monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.05)
        self.results: list[Comparison] = []
        self.fatal = FatalErrors()
        self.processes: list[ReferenceProcess] = []
        chosen = {"every_n": 1, "max_rate_hz": 100.0, "max_share": 1.0, **settings}
        self.verifier = ShadowVerifier(
            ShadowSettings(**chosen),  # type: ignore[arg-type]
            codec_of("detection3d"),
            self._start,
            lambda: {"decoder": "autoware"},
            ("fp32",),
            self.results.append,
            self.fatal,
        )

    def _start(self) -> ReferenceProcess:
        self.processes.append(ReferenceProcess((), program=PROGRAM))
        return self.processes[-1]

    def ready(self) -> bool:
        return wait_until(lambda: self.verifier.state.reference == "ready")


@pytest.fixture
def shadow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Shadow]]:
    made: list[Shadow] = []

    def make(mode: str, **settings: object) -> Shadow:
        made.append(Shadow(monkeypatch, mode, **settings))
        return made[-1]

    yield make
    for one in made:
        one.verifier.close()
        assert one.fatal.error is None
        assert all(not Path(f"/proc/{process.pid}").exists() for process in one.processes)


def test_an_agreeing_reference_is_ok(shadow) -> None:
    one = shadow("agree")
    assert one.ready()
    one.verifier.offer(FRAME)
    assert wait_until(lambda: len(one.results) == 1)
    assert one.results[0].frame is FRAME
    assert one.verifier.state.counters.agreed == 1
    assert one.verifier.health().level == Level.OK


def test_disagreements_are_a_warning_and_several_in_a_row_an_error(shadow) -> None:
    one = shadow("disagree", max_consecutive_disagreements=2)
    for number, level in ((1, Level.WARN), (2, Level.ERROR)):
        assert one.ready()
        one.verifier.offer(FRAME)
        assert wait_until(lambda number=number: len(one.results) == number)
        assert one.verifier.health().level == level
    assert "have no partner" in one.verifier.state.values()["last_disagreement"]


def test_frames_while_the_reference_starts_or_works_are_counted(shadow) -> None:
    one = shadow("hang")
    one.verifier.offer(FRAME)
    assert one.verifier.state.counters.skipped_busy == 1
    assert one.ready()
    start = time.monotonic()
    for _ in range(5):
        one.verifier.offer(FRAME)
        time.sleep(0.02)
    # The live thread never waits, and closing does not wait for an answer.
    assert time.monotonic() - start < 1.0
    assert one.verifier.state.counters.skipped_busy == 1 + 4


def test_a_reference_that_refuses_a_frame_goes_on(shadow) -> None:
    one = shadow("refuse")
    for number in (1, 2):
        assert one.ready()
        one.verifier.offer(FRAME)
        assert wait_until(lambda number=number: one.verifier.state.counters.failed == number)
    assert one.verifier.state.last_result == "InferenceError: no"
    assert len(one.processes) == 1


@pytest.mark.parametrize("mode", ["die", "killed"])
def test_a_reference_that_dies_is_started_again(shadow, mode) -> None:
    one = shadow("die" if mode == "die" else "hang")
    assert one.ready()
    one.verifier.offer(FRAME)
    if mode == "killed":
        os.kill(one.processes[0].pid, signal.SIGKILL)
    assert wait_until(lambda: len(one.processes) >= 2)
    assert one.ready()
    assert one.verifier.state.counters.failed == 1
    assert one.verifier.state.restarts == 1


def test_a_reference_that_cannot_be_loaded_is_a_warning(shadow) -> None:
    one = shadow("fatal")
    assert wait_until(lambda: one.verifier.state.problem != "")
    assert "no such bundle" in one.verifier.health().message
    assert one.verifier.health().level == Level.WARN
