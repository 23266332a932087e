"""Calls of the CUDA driver whose result codes become typed errors."""

from __future__ import annotations

import importlib
from typing import Any

from awml_deploy_core.errors import (
    AwmlDeployError,
    BackendUnavailableError,
    DeviceError,
    DeviceLostError,
    InferenceError,
    MissingDependencyError,
)

INSTALL = "pip install cuda-bindings"

OUT_OF_MEMORY = 2
"""CUDA_ERROR_OUT_OF_MEMORY of cuda.h."""

UNAVAILABLE_CODES = frozenset({3, 34, 46, 100, 101, 209, 222, 802, 803, 804})
"""No driver, no such device, a device that is not ready, or code that was built for another GPU."""

LOST_CODES = frozenset({4, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 999})
"""After these every further call of the process fails (cuda.h: "the process must be terminated and
relaunched"): illegal address, launch failure, uncorrectable memory and their kind."""


def cuda_python_problem() -> str | None:
    """Why cuda-python cannot be used, or None."""
    try:
        importlib.import_module("cuda.bindings.driver")
    except (ImportError, OSError, RuntimeError) as error:
        return f"cuda.bindings cannot be imported: {error}"
    return None


class CudaDriver:
    """The driver API of ``cuda.bindings``, called by name, for one device.

    Its result codes tell one failure from another; ``cuda.core`` raises a class that it does not
    export. Handles are those of ``cuda.core`` and of the CUDA runtime as well.

    Args:
        name: The device, for errors.

    Raises:
        MissingDependencyError: cuda-python is not installed.
    """

    def __init__(self, name: str) -> None:
        if problem := cuda_python_problem():
            raise MissingDependencyError("cuda-python", problem, hint=INSTALL)
        from cuda.bindings import driver

        self.api: Any = driver
        """The module, for its enumerations and for calls whose result code is of no use."""
        self.name = name

    def call(self, function: str, *arguments: Any) -> Any:
        """Call a function of the driver; what it returns beside the code: one value, a tuple, or None.

        Raises:
            DeviceError: The device has no memory left.
            DeviceLostError: The context is broken; the process has to be restarted.
            BackendUnavailableError: There is no driver, or no such device.
            InferenceError: Any other failure.
        """
        try:
            result = getattr(self.api, function)(*arguments)
        except RuntimeError as error:
            # Without a driver the bindings raise where they would return a code.
            raise BackendUnavailableError(
                self.name, "has no CUDA driver", got=str(error).rstrip("."), hint="Check nvidia-smi."
            ) from error
        if int(result[0]):
            raise self.failure(result[0], function)
        # A frame makes a dozen calls, so that unpacking into lists would be felt.
        return result[1] if len(result) == 2 else result[1:] or None

    def failure(self, code: Any, function: str, subject: str = "") -> AwmlDeployError:
        """The error that a result code means.

        Args:
            code: A result code other than success.
            function: What returned it.
            subject: What it was for, where that helps.
        """
        number, got = int(code), str(getattr(code, "name", code))
        problem = f"{function}{f' of {subject}' if subject else ''} failed"
        if number == OUT_OF_MEMORY:
            return DeviceError(
                self.name,
                "out of memory",
                got=subject or function,
                hint="End other processes on the GPU, or lower the model's capacity.",
            )
        if number in LOST_CODES:
            return DeviceLostError(
                self.name,
                f"is lost: {problem}",
                got=got,
                hint="Nothing runs on it in this process any more: restart the process. "
                "compute-sanitizer says which kernel it was.",
            )
        if number in UNAVAILABLE_CODES:
            return BackendUnavailableError(
                self.name, f"cannot be used: {problem}", got=got, hint="Check nvidia-smi."
            )
        return InferenceError(self.name, problem, got=got)
