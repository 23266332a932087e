"""TensorRT and TensorRT-RTX on an NVIDIA GPU, from the engines of a bundle."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, get_args

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import (
    ArtifactError,
    BackendUnavailableError,
    ConfigError,
    DeviceError,
    MissingDependencyError,
    ParameterError,
)
from awml_deploy_core.runtime.cuda.context import CudaContext
from awml_deploy_core.runtime.cuda.driver import INSTALL, cuda_python_problem
from awml_deploy_core.runtime.cuda_driver import cuda_device, cuda_device_count, has_cuda_driver
from awml_deploy_core.runtime.session import Availability, SessionOptions, SessionSource
from awml_deploy_core.runtime.trt.cache import EngineCache
from awml_deploy_core.runtime.trt.key import Environment
from awml_deploy_core.runtime.trt.library import Messages, TensorRTLibrary, find_library
from awml_deploy_core.runtime.trt.selection import select_engine
from awml_deploy_core.runtime.trt.session import NAME, LoadedEngine, TensorRTSession, bind_engine
from awml_deploy_core.runtime.trt.settings import Precision

_LOG = logging.getLogger(__name__)

_OUT_OF_MEMORY = ("out of memory", "outofmemory")
"""How TensorRT says so: CUDA's text for the code, and the name of its own."""


class TensorRTBackend:
    """Runs engines; it never builds one, so that no vehicle waits for minutes without having asked.

    ``SessionOptions.extra["tensorrt"]`` may hold ``library`` (``auto``, ``tensorrt``,
    ``tensorrt_rtx``) and ``precision``, which chooses among several engines of a bundle.
    """

    @property
    def name(self) -> str:
        return NAME

    def availability(self, device: DeviceSpec) -> Availability:
        """Whether library, cuda-python, driver and GPU are there and go together; never raises.

        Everything that is missing is named.
        """
        if device.kind != "cuda":
            return Availability(False, "TensorRT runs on CUDA devices", "Choose device cuda.")
        missing, hints = [], []
        library: TensorRTLibrary | None = None
        try:
            library = find_library()
        except (ConfigError, MissingDependencyError) as error:
            missing.append(f"{error.subject} {error.problem} ({'; '.join(error.problems)})")
            hints.append(error.hint or "")
        if problem := cuda_python_problem():
            missing.append(problem)
            hints.append(f"{INSTALL}.")
        gpu = cuda_device(device.index)
        if not has_cuda_driver():
            missing.append("there is no CUDA driver (libcuda.so.1)")
            hints.append("Install the NVIDIA driver.")
        elif gpu is None:
            missing.append(
                f"{device} does not exist: the CUDA driver offers {cuda_device_count()} device(s)"
            )
            hints.append("Check nvidia-smi and CUDA_VISIBLE_DEVICES.")
        elif library is not None and library.is_rtx:
            known = library.compute_capabilities()
            if gpu.compute_capability not in known:
                missing.append(
                    f"TensorRT-RTX does not run on {gpu.name} of compute capability "
                    f"{gpu.compute_capability} (known: {', '.join(known)})"
                )
                hints.append("Install TensorRT.")
        if missing or library is None or gpu is None:
            return Availability(False, "; ".join(missing), " ".join(filter(None, hints)))
        return Availability(True, str(Environment.of(library, gpu)))

    def open_session(
        self, source: SessionSource, device: DeviceSpec, options: SessionOptions
    ) -> TensorRTSession:
        """Load the engine that was built from the source's ONNX file for this library and GPU.

        Raises:
            BackendUnavailableError: Library, driver or GPU are not usable here.
            DeviceError: The device has no memory left.
            ArtifactError: There is no engine, or it is stale, foreign or corrupt, found before it is
                opened, or it contradicts the spec.
            ParameterError: ``options.extra["tensorrt"]`` has an unknown key or value.
        """
        chosen = _options(options)
        state = self.availability(device)
        if not state:
            raise BackendUnavailableError(f"{NAME} on {device}", state.detail, hint=state.hint or None)
        path = source.onnx_path
        if path is None or not path.is_file():
            raise ArtifactError(
                path or f"component {source.spec.name}",
                "ONNX file is missing",
                expected=f"the ONNX file of component {source.spec.name}, beside which its engines are",
                hint="Export the model first.",
            )
        library = find_library(chosen["library"])
        folder = source.bundle or path.parent
        cache = EngineCache(folder)
        here = Environment.of(library, cuda_device(device.index))
        record = select_engine(cache, source.spec.name, path, here, chosen["precision"])
        memory = CudaContext(device)
        try:
            loaded = load_engine(
                library, cache.load(record), record.path, host_code=record.key.target.version_compatible
            )
            binding = bind_engine(library.api, loaded.engine, source.spec, folder / record.path)
            key = record.key
            session = TensorRTSession(
                source.spec, device, loaded, binding, memory, key.precision, key.file_name
            )
        except BaseException:
            memory.close()
            raise
        _LOG.info("opened engine", extra={"engine": record.path, "target": str(record.key.target)})
        return session


def load_engine(
    library: TensorRTLibrary, content: bytes, subject: str, *, host_code: bool = False
) -> LoadedEngine:
    """Open an engine on the current device.

    Args:
        library: What built it.
        content: The engine, whose hash was checked.
        subject: What it is, for errors.
        host_code: Whether it may bring code of the library, as version-compatible engines do.

    Raises:
        ArtifactError: It does not open; the library's messages are listed.
        DeviceError: The device has no memory left for it.
    """
    messages = Messages(library)
    runtime = library.runtime(messages, host_code=host_code)
    engine = runtime.deserialize_cuda_engine(content)
    context = library.make_context(engine) if engine is not None else None
    if engine is None or context is None:
        problems = messages.errors()
        if any(text in problem.lower() for problem in problems for text in _OUT_OF_MEMORY):
            raise DeviceError(
                subject,
                "out of memory",
                problems=problems,
                hint="End other processes on the GPU, or lower the model's capacity.",
            )
        raise ArtifactError(
            subject,
            f"{library.name} {library.version} cannot open it",
            problems=problems,
            hint="Build it again on this machine: awml-deploy build --rebuild.",
        )
    return LoadedEngine(runtime, engine, context, messages)


def _options(options: SessionOptions) -> dict[str, Any]:
    extra: Mapping[str, Any] = options.extra.get(NAME, {})
    known: dict[str, Any] = {"library": "auto", "precision": None}
    if unknown := sorted(set(extra) - set(known)):
        raise ParameterError(
            f"extra.{NAME}", "unknown option", got=", ".join(unknown), expected=" or ".join(known)
        )
    chosen = known | dict(extra)
    if chosen["precision"] not in (None, *get_args(Precision)):
        raise ParameterError(
            f"extra.{NAME}.precision",
            "unknown precision",
            got=repr(chosen["precision"]),
            expected=" or ".join(get_args(Precision)),
        )
    return chosen
