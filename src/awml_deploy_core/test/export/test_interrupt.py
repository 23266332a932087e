from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

import pytest

from awml_deploy_core.export.interrupt import honoured_interrupt


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


def swallow_an_interrupt() -> None:
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def fail_after_an_interrupt() -> None:
    swallow_an_interrupt()
    raise AttributeError("half imported")


def test_a_swallowed_interrupt_is_raised_at_the_end() -> None:
    with pytest.raises(KeyboardInterrupt), honoured_interrupt():
        swallow_an_interrupt()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_follows_from_a_swallowed_interrupt_does_not_hide_it() -> None:
    with pytest.raises(KeyboardInterrupt), honoured_interrupt():
        fail_after_an_interrupt()


def test_without_an_interrupt_nothing_changes() -> None:
    with honoured_interrupt():
        pass
    with pytest.raises(ValueError, match="own"), honoured_interrupt():
        raise ValueError("own")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_somebody_else_stays() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with honoured_interrupt():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        signal.raise_signal(signal.SIGINT)


def test_another_thread_has_no_signals_to_handle() -> None:
    entered = []

    def work() -> None:
        with honoured_interrupt():
            entered.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [True]
