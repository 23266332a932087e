"""Signals from the first moment, at any moment."""

import signal
import threading
import time

import pytest
from processes import Process

from awml_deploy_ros.signals import StopFlag

EARLY = """
import os, signal, sys
from awml_deploy_ros import programs, signals
imported = programs.import_module
def import_module(name):
    os.kill(os.getpid(), signal.{name})
    return imported(name)
programs.import_module = import_module
sys.argv = ["centerpoint_node", "--ros-args", "-p", "model_path:=/nowhere", "-p", "autostart:=true"]
sys.exit(programs.centerpoint_node())
"""


def test_a_flag_wakes_everybody_who_waits() -> None:
    flag = StopFlag()
    assert not flag.wait(0.0)
    woken = []
    threads = [threading.Thread(target=lambda: woken.append(flag.wait(60))) for _ in range(3)]
    for thread in threads:
        thread.start()
    flag.set()
    for thread in threads:
        thread.join(60)
    assert woken == [True] * 3
    assert flag.wait(60)


def test_a_handler_may_interrupt_waiting_and_setting() -> None:
    """With threading.Event a handler now and then waits for the lock of its own thread."""
    flags = [StopFlag()]
    previous = signal.signal(signal.SIGALRM, lambda *_: flags[-1].set())
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            flags.append(StopFlag())
            flags[-1].wait(1e-5)
            flags[-1].set()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert all(flag.is_set() for flag in flags[1:])


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_during_the_imports_ends_the_program_cleanly(name: str) -> None:
    with Process("-c", EARLY.format(name=name)) as process:
        assert process.finish() == 0, process.output
    assert process.output == ""
