"""Processes that must not slow down the live one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_LOWEST = 19


def step_back(pid: int = 0) -> None:
    """Let a process (0: this one) run only where nobody else wants the processor, and be the first to end
    when memory runs out.

    Its threads that exist already keep their priority, so call this before it makes any.
    """
    # A container may forbid either; what is left is still right.
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _LOWEST)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    with suppress(OSError):
        Path(f"/proc/{pid or 'self'}/oom_score_adj").write_text("1000", encoding="ascii")


def with_threads(environment: Mapping[str, str], number: int) -> dict[str, str]:
    """An environment in which numerical libraries use so many threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    return {**environment, **dict.fromkeys(names, str(number))}
