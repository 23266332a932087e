from __future__ import annotations

import signal
import threading
from contextlib import suppress

import pytest

from awml_deploy_core.interrupts import interrupts_kept


def test_a_swallowed_interrupt_ends_the_block() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts_kept(), suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def fail_after_an_interrupt() -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise RuntimeError("partially initialized module") from None


def test_an_interrupt_that_became_another_error_is_one_again() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts_kept():
        fail_after_an_interrupt()


def test_the_outer_of_two_blocks_knows_as_well() -> None:
    inner_ended = suppress(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt), interrupts_kept(), inner_ended, interrupts_kept():
        fail_after_an_interrupt()


def test_without_an_interrupt_nothing_changes() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interrupts_kept():
        pass
    with pytest.raises(ValueError, match="own"), interrupts_kept():
        raise ValueError("own")
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with interrupts_kept():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
