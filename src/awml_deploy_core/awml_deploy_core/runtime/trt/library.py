"""TensorRT 10, TensorRT 11 and TensorRT-RTX behind one interface: which is there, and what it can do."""

from __future__ import annotations

import importlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast
from weakref import WeakSet

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
_USER_ALLOCATION = "REQUIRE_USER_ALLOCATION"
"""Builder flag of TensorRT-RTX from 1.2 on."""
_MOST_ERRORS = 32
"""A library that complains every frame must not fill the memory."""


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

    def runtime(self, messages: Messages, *, host_code: bool) -> tensorrt.Runtime:
        """What opens engines.

        Args:
            messages: Hears its errors.
            host_code: Whether an engine may bring code of the library, as version-compatible ones do.
        """
        made = self.api.Runtime(messages.logger)
        if host_code:
            made.engine_host_code_allowed = True
        return made

    def make_context(self, engine: tensorrt.ICudaEngine) -> tensorrt.IExecutionContext | None:
        """What runs an engine; None where the library cannot make it, which it then logs.

        TensorRT-RTX compiles kernels for a new shape in the background by default and exchanges them
        while frames run: results and latency would change with time, and a graph could not hold it.
        """
        if not self.is_rtx:
            return engine.create_execution_context()
        rtx, api = cast(Any, engine), cast(Any, self.api)
        config = rtx.create_runtime_config()
        strategy = api.DynamicShapesKernelSpecializationStrategy.NONE
        config.dynamic_shapes_kernel_specialization_strategy = strategy
        made: tensorrt.IExecutionContext | None = rtx.create_execution_context(config)
        return made

    def allow_capture(self, config: tensorrt.IBuilderConfig) -> None:
        """Build what a CUDA graph can hold: TensorRT-RTX has to be told not to allocate while it runs."""
        if self.is_rtx and (flag := cast(Any, self.api).BuilderFlag.__members__.get(_USER_ALLOCATION)):
            config.set_flag(flag)

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
    """What the library logs: errors are kept for the exception that follows, the rest goes to the log.

    All of a process share one logger of the library, as TensorRT keeps the first one it is given for
    whatever is opened later: that logger must outlive every engine, and every instance hears it.
    """

    def __init__(self, library: TensorRTLibrary) -> None:
        self._lock = threading.Lock()
        self._errors: deque[str] = deque(maxlen=_MOST_ERRORS)
        hub = _hub(library.api)
        hub.tell(self)
        self.logger = hub.logger

    def errors(self) -> tuple[str, ...]:
        """The last errors since the last call, in order."""
        with self._lock:
            errors = tuple(self._errors)
            self._errors.clear()
        return errors

    def add(self, message: str) -> None:
        """Keep an error."""
        with self._lock:
            self._errors.append(message)


class _Hub:
    """The logger of a library and who hears its errors."""

    def __init__(self, api: TensorRTApi) -> None:
        self._lock = threading.Lock()
        self._listeners: WeakSet[Messages] = WeakSet()
        self.logger = _make_logger(api, self._receive)

    def tell(self, listener: Messages) -> None:
        """Let it hear the errors from now on, for as long as it lives."""
        with self._lock:
            self._listeners.add(listener)

    def _receive(self, level: int, message: str) -> None:
        if level >= logging.ERROR:
            with self._lock:
                listeners = tuple(self._listeners)
            for listener in listeners:
                listener.add(message.strip())
            level = logging.DEBUG
        _LOG.log(level, "%s", message)


_HUBS: dict[int, tuple[TensorRTApi, _Hub]] = {}
"""By the identity of the library's module, which is kept with it."""
_HUBS_LOCK = threading.Lock()


def _hub(api: TensorRTApi) -> _Hub:
    with _HUBS_LOCK:
        if id(api) not in _HUBS:
            _HUBS[id(api)] = (api, _Hub(api))
        return _HUBS[id(api)][1]


def _make_logger(api: TensorRTApi, receive: Callable[[int, str], None]) -> tensorrt.ILogger:
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
