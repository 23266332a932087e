"""Peak memory of this process, and what it takes of a GPU, while a block runs."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path

from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.errors import DeviceError
from awml_deploy_core.evaluation.metrics import MetricRecord
from awml_deploy_core.runtime.cuda.nvidia_smi import query_gpus

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
    device_mb: float | None = None
    """More memory of the GPU in use after the last frame than before the backend was opened, the context
    included where it is the first; what backends take for a frame they keep. None on the CPU."""
    device_missing: str | None = None
    """Why a GPU's memory was not measured."""


class PeakMemory:
    """Measures from when it is made on.

    Args:
        device: Its memory is measured too, if it is a GPU; other processes that use it meanwhile count.
    """

    def __init__(self, device: DeviceSpec = CPU) -> None:
        self._device = device
        self._device_missing: str | None = None
        self._device_mb: float | None = None
        self._device_before = self._device_used()
        self._is_reset = False
        with suppress(OSError):
            _RESET.write_text(_RESET_PEAK)
            self._is_reset = True
        self._before = _resident("VmRSS")

    def mark(self) -> None:
        """The last frame has run, and the backend is still open."""
        after = self._device_used()
        if after is not None and self._device_before is not None:
            self._device_mb = after - self._device_before

    def result(self) -> MemoryUse:
        """The peak up to now."""
        peak = _resident("VmHWM")
        return MemoryUse(
            before_mb=self._before,
            peak_mb=max(peak, self._before),
            is_own_peak=self._is_reset,
            device_mb=self._device_mb,
            device_missing=self._device_missing,
        )

    def _device_used(self) -> float | None:
        if self._device.kind == "cpu":
            return None
        try:
            (gpu,) = query_gpus(("memory.used",), self._device)
            return float(gpu["memory.used"]) * 2**20 / 1e6
        except DeviceError as error:
            self._device_missing = str(error)
        except (ValueError, LookupError):
            self._device_missing = "nvidia-smi does not say how much memory is in use"
        return None


def _resident(key: str) -> float:
    """A figure of ``/proc/self/status`` [MB]; the peak of the whole process where there is none."""
    with suppress(OSError):
        if found := re.search(rf"^{key}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE):
            return int(found[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
