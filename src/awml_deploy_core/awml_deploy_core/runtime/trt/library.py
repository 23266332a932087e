"""TensorRT 10, TensorRT 11 and TensorRT-RTX behind one interface: which is there, and what it can do."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from awml_deploy_core.errors import ConfigError, MissingDependencyError
from awml_deploy_core.runtime.trt.settings import EngineSettings, LibraryChoice, LibraryName

if TYPE_CHECKING:
    import tensorrt

_LOG = logging.getLogger(__name__)

_MODULES: dict[LibraryName, tuple[str, ...]] = {
    "tensorrt": ("tensorrt",),
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
_LIBRARY_WHEELS = {"tensorrt_rtx_bindings": "tensorrt_rtx_libs"}
"""Bindings that find their shared libraries only after the module that carries those was imported."""
_INSTALL = {
    "tensorrt": "pip install tensorrt",
    "tensorrt_rtx": "pip install tensorrt-rtx-cu13-libs tensorrt-rtx-cu13-bindings",
}
_OLDEST = 10


class TensorRTApi(Protocol):
    """What this suite uses of the module, as the type stubs of TensorRT describe it."""

    Builder: type[tensorrt.Builder]
    BuilderFlag: type[tensorrt.BuilderFlag]
    DataType: type[tensorrt.DataType]
    HardwareCompatibilityLevel: type[tensorrt.HardwareCompatibilityLevel]
    ILogger: type[tensorrt.ILogger]
    IProgressMonitor: type[tensorrt.IProgressMonitor]
    LayerInformationFormat: type[tensorrt.LayerInformationFormat]
    MemoryPoolType: type[tensorrt.MemoryPoolType]
    NetworkDefinitionCreationFlag: type[tensorrt.NetworkDefinitionCreationFlag]
    OnnxParser: type[tensorrt.OnnxParser]
    ProfilingVerbosity: type[tensorrt.ProfilingVerbosity]
    Runtime: type[tensorrt.Runtime]
    TensorIOMode: type[tensorrt.TensorIOMode]


@dataclass(frozen=True, eq=False)
class TensorRTLibrary:
    """One installed library."""

    name: LibraryName
    version: str
    api: TensorRTApi

    @property
    def is_rtx(self) -> bool:
        """Whether engines are finished on the GPU they run on: portable, and built without one."""
        return self.name == "tensorrt_rtx"

    @property
    def has_timing_cache(self) -> bool:
        """TensorRT-RTX times nothing while it builds."""
        return not self.is_rtx

    def unsupported(self, settings: EngineSettings) -> list[str]:
        """Settings this library cannot follow, one clause each."""
        problems = []
        if self.is_rtx:
            if settings.version_compatible:
                problems.append("version_compatible: TensorRT-RTX has no version-compatible engines")
            if settings.hardware_compatibility != "none":
                problems.append(
                    "hardware_compatibility: engines of TensorRT-RTX run on every GPU they were built for; "
                    "name GPUs in compute_capabilities"
                )
            known = self.compute_capabilities()
            problems += [
                f"compute_capabilities: {text} is not one of {', '.join(known)}"
                for text in settings.compute_capabilities
                if text not in known
            ]
            return problems
        if settings.compute_capabilities:
            problems.append(
                "compute_capabilities: TensorRT builds for the GPU it runs on; use hardware_compatibility"
            )
        level = settings.hardware_compatibility
        if level.upper() not in self.api.HardwareCompatibilityLevel.__members__:
            problems.append(f"hardware_compatibility: TensorRT {self.version} does not know {level}")
        return problems

    def compute_capabilities(self) -> tuple[str, ...]:
        """What an engine of TensorRT-RTX can be built for, e.g. ``8.9``; empty for TensorRT."""
        members = getattr(getattr(self.api, "ComputeCapability", None), "__members__", {})
        digits = [name.removeprefix("SM") for name in members if name.startswith("SM")]
        return tuple(f"{text[:-1]}.{text[-1]}" for text in digits)

    def set_compute_capabilities(self, config: tensorrt.IBuilderConfig, chosen: Sequence[str]) -> None:
        """Limit what TensorRT-RTX builds for."""
        # The stubs are those of TensorRT, which does not have these.
        rtx, api = cast(Any, config), cast(Any, self.api)
        rtx.num_compute_capabilities = len(chosen)
        for index, text in enumerate(chosen):
            rtx.set_compute_capability(
                api.ComputeCapability.__members__[f"SM{text.replace('.', '')}"], index
            )


class Messages:
    """What the library logs: errors are kept for the exception that follows, the rest goes to the log."""

    def __init__(self, library: TensorRTLibrary) -> None:
        self._lock = threading.Lock()
        self._errors: list[str] = []
        self.logger = _make_logger(library.api, self._receive)

    def errors(self) -> tuple[str, ...]:
        """Errors since the last call, in order."""
        with self._lock:
            errors, self._errors = tuple(self._errors), []
        return errors

    def _receive(self, level: int, message: str) -> None:
        if level >= logging.ERROR:
            with self._lock:
                self._errors.append(message.strip())
            level = logging.DEBUG
        _LOG.log(level, "%s", message)


def _make_logger(api: TensorRTApi, receive: Any) -> tensorrt.ILogger:
    severity = api.ILogger.Severity
    levels = {
        severity.INTERNAL_ERROR: logging.ERROR,
        severity.ERROR: logging.ERROR,
        severity.WARNING: logging.WARNING,
    }

    class Logger(api.ILogger):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            # pybind11 wants this call, and not the one through super().
            api.ILogger.__init__(self)

        def log(self, severity: tensorrt.ILogger.Severity, msg: str) -> None:
            receive(levels.get(severity, logging.DEBUG), msg)

    made: tensorrt.ILogger = Logger()
    return made


def shape_of(dims: tensorrt.Dims) -> tuple[int, ...]:
    """The lengths that TensorRT gives as Dims; one that is dynamic is -1."""
    return tuple(dims[index] for index in range(len(dims)))


def find_library(choice: LibraryChoice = "auto") -> TensorRTLibrary:
    """Import the chosen library.

    Raises:
        ConfigError: The choice is unknown.
        MissingDependencyError: It is not installed, cannot be loaded or is too old; the error says
            what was tried.
    """
    names: tuple[LibraryName, ...] = ("tensorrt", "tensorrt_rtx") if choice == "auto" else (choice,)
    if not set(names) <= set(_MODULES):
        raise ConfigError(
            "library", "is unknown", got=repr(choice), expected=f"auto, {', '.join(_MODULES)}"
        )
    problems = []
    for name in names:
        for module_name in _MODULES[name]:
            module, problem = _import(module_name)
            if module is None:
                problems.append(problem)
                continue
            version = str(module.__version__)
            if name == "tensorrt" and int(version.partition(".")[0]) < _OLDEST:
                problems.append(f"{module_name} {version} is older than {_OLDEST}.0")
                continue
            return TensorRTLibrary(name, version, cast(TensorRTApi, module))
    raise MissingDependencyError(
        "TensorRT",
        "is not installed",
        problems=problems,
        hint=f"{' or '.join(_INSTALL[name] for name in names)}.",
    )


def _import(name: str) -> tuple[Any, str]:
    """A module of TensorRT, or None and why not."""
    if libraries := _LIBRARY_WHEELS.get(name):
        # Without it the shared libraries may lie on the library path.
        with suppress(ImportError):
            importlib.import_module(libraries)
    try:
        module = importlib.import_module(name)
    except (ImportError, OSError) as error:
        return None, f"{name}: {error}"
    # The type stubs alone leave an empty namespace package of the same name.
    return (module, "") if hasattr(module, "Builder") else (None, f"{name}: has no Builder")
