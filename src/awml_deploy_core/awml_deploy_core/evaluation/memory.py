"""Peak memory of this process while a block runs."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path

from awml_deploy_core.evaluation.metrics import MetricRecord

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
"""What proc(5) says sets the peak back to the memory that is resident now."""


class MemoryUse(MetricRecord):
    """Resident memory of the host process [MB, 10^6 bytes]."""

    before_mb: float
    """Before the backend was opened: the interpreter, what earlier backends left."""
    peak_mb: float
    """Most while it was opened and ran."""
    is_own_peak: bool
    """False where the system cannot reset the peak: it may then be one of earlier work."""


class PeakMemory:
    """Measures from when it is made on."""

    def __init__(self) -> None:
        self._is_reset = False
        with suppress(OSError):
            _RESET.write_text(_RESET_PEAK)
            self._is_reset = True
        self._before = _resident("VmRSS")

    def result(self) -> MemoryUse:
        """The peak up to now."""
        peak = _resident("VmHWM")
        return MemoryUse(
            before_mb=self._before, peak_mb=max(peak, self._before), is_own_peak=self._is_reset
        )


def _resident(key: str) -> float:
    """A figure of ``/proc/self/status`` [MB]; the peak of the whole process where there is none."""
    with suppress(OSError):
        if found := re.search(rf"^{key}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE):
            return int(found[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
