"""ONNX Runtime on the CPU and on CUDA."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import ArtifactError, BackendUnavailableError, ParameterError
from awml_deploy_core.runtime.binding import Binding, GraphTensor, bind
from awml_deploy_core.runtime.cuda.context import CudaContext
from awml_deploy_core.runtime.cuda.driver import cuda_python_problem
from awml_deploy_core.runtime.cuda_driver import cuda_device_count
from awml_deploy_core.runtime.onnxruntime_cuda import OnnxRuntimeCudaSession
from awml_deploy_core.runtime.onnxruntime_session import NAME, OnnxRuntimeSession, native_errors
from awml_deploy_core.runtime.session import Availability, SessionOptions, SessionSource

_LOG = logging.getLogger(__name__)
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_OPTIONS = ("provider_options", "capturable")
_LOG_FATAL = 4
"""Errors come as exceptions; ONNX Runtime would also print them."""
_LIBRARIES_HINT = (
    "Check that the CUDA and cuDNN libraries match this onnxruntime-gpu "
    "(python -c 'import onnxruntime; onnxruntime.print_debug_info()')."
)
_DTYPES = {"float": "float32", "double": "float64"}


class OnnxRuntimeBackend:
    """Runs ONNX files with ONNX Runtime.

    ``SessionOptions.extra["onnxruntime"]`` may hold ``provider_options``: options of the
    execution provider that override this backend's choice, in ONNX Runtime's own words; and
    ``capturable``: whether a CUDA graph may hold the session's work (off by default, because ONNX
    Runtime promises it only for graphs that it captures itself).
    """

    @property
    def name(self) -> str:
        return NAME

    def availability(self, device: DeviceSpec) -> Availability:
        """Whether ONNX Runtime with the device's execution provider is installed; never raises."""
        try:
            import onnxruntime
        except (ImportError, OSError) as error:
            return Availability(
                False, f"ONNX Runtime cannot be imported: {error}", "pip install onnxruntime"
            )
        if _PROVIDERS[device.kind] not in onnxruntime.get_available_providers():
            return Availability(
                False,
                f"ONNX Runtime {onnxruntime.__version__} has no {_PROVIDERS[device.kind]}",
                "pip install onnxruntime-gpu",
            )
        if device.kind == "cuda":
            count = cuda_device_count()
            if device.index >= count:
                return Availability(
                    False,
                    f"{device} does not exist: the CUDA driver offers {count} device(s)",
                    "Check nvidia-smi and CUDA_VISIBLE_DEVICES." if not count else "",
                )
        return Availability(True, f"ONNX Runtime {onnxruntime.__version__}, {_PROVIDERS[device.kind]}")

    def open_session(
        self, source: SessionSource, device: DeviceSpec, options: SessionOptions
    ) -> OnnxRuntimeSession:
        """Load the source's ONNX file.

        Raises:
            BackendUnavailableError: ONNX Runtime or the device is not usable here.
            ArtifactError: The file is missing, corrupt or contradicts the spec.
            ParameterError: ``options.extra["onnxruntime"]`` has an unknown key.
        """
        state = self.availability(device)
        if not state:
            raise BackendUnavailableError(f"{NAME} on {device}", state.detail, hint=state.hint or None)
        if source.onnx_path is None or not source.onnx_path.is_file():
            raise ArtifactError(
                source.onnx_path or f"component {source.spec.name}",
                "ONNX file is missing",
                expected=f"the ONNX file of component {source.spec.name}",
                hint="Export the model first.",
            )
        if device.kind == "cpu" or cuda_python_problem():
            native = _load(source.onnx_path, device, options, stream=None)
            return OnnxRuntimeSession(source.spec, device, native, _bind(source, native))
        context = CudaContext(device)
        try:
            native = _load(source.onnx_path, device, options, stream=context.stream)
            capturable = bool(options.extra.get(NAME, {}).get("capturable", False))
            return OnnxRuntimeCudaSession(
                source.spec, context, native, _bind(source, native), capturable=capturable
            )
        except BaseException:
            context.close()
            raise


def _bind(source: SessionSource, native: Any) -> Binding:
    path = source.onnx_path or Path()
    binding = bind(
        source.spec,
        [_graph_tensor(value) for value in native.get_inputs()],
        [_graph_tensor(value) for value in native.get_outputs()],
        path,
    )
    if binding.by_index:
        _LOG.warning(
            "%s: tensor names differ from component %s, bound by index: %s -> %s",
            path,
            source.spec.name,
            ", ".join(binding.inputs),
            ", ".join(binding.outputs),
        )
    return binding


def _load(path: Path, device: DeviceSpec, options: SessionOptions, stream: int | None) -> Any:
    import onnxruntime

    provider = _PROVIDERS[device.kind]
    native_options = onnxruntime.SessionOptions()
    native_options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    native_options.use_deterministic_compute = options.deterministic
    native_options.intra_op_num_threads = options.num_threads
    native_options.inter_op_num_threads = 1
    # Idle pool threads would spin against the other component's session and other processes.
    native_options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    native_options.log_severity_level = _LOG_FATAL
    if device.kind == "cuda":
        _preload_cuda_libraries()
    try:
        native = onnxruntime.InferenceSession(
            str(path),
            native_options,
            providers=[(provider, _provider_options(device, options, stream))],
            enable_fallback=0,
        )
    except native_errors() as error:
        raise ArtifactError(
            path,
            f"{NAME} on {device} cannot load it",
            got=error,
            hint="The file is corrupt, truncated or uses operators this version does not know; "
            "export the model again or check it against its manifest.",
        ) from error
    except (RuntimeError, ValueError) as error:
        raise BackendUnavailableError(
            f"{NAME} on {device}", f"{provider} did not start", got=error, hint=_LIBRARIES_HINT
        ) from error
    if provider not in native.get_providers():
        raise BackendUnavailableError(
            f"{NAME} on {device}",
            f"{provider} did not start",
            got=f"a session on {', '.join(native.get_providers())}",
            hint=_LIBRARIES_HINT,
        )
    return native


def _preload_cuda_libraries() -> None:
    """Load CUDA and cuDNN from their wheels where this version can; it prints what it misses."""
    import onnxruntime

    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is None:
        return
    printed = io.StringIO()
    with redirect_stdout(printed):
        preload()
    for line in printed.getvalue().splitlines():
        _LOG.warning("%s", line)


def _provider_options(device: DeviceSpec, options: SessionOptions, stream: int | None) -> dict[str, Any]:
    extra: Mapping[str, Any] = options.extra.get(NAME, {})
    if unknown := sorted(set(extra) - set(_OPTIONS)):
        raise ParameterError(
            f"extra.{NAME}",
            "unknown option",
            got=", ".join(unknown),
            expected=" or ".join(sorted(_OPTIONS)),
        )
    chosen: dict[str, Any] = {}
    if device.kind == "cuda":
        chosen["device_id"] = str(device.index)
        if stream is not None:
            chosen["user_compute_stream"] = str(stream)
        if options.deterministic:
            # The default search times algorithms and TF32 rounds: both change figures between runs
            # or machines.
            chosen |= {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
    return chosen | dict(extra.get("provider_options", {}))


def _graph_tensor(value: Any) -> GraphTensor:
    """From ONNX Runtime's words: type ``tensor(float)``; an axis is an int, a name or None."""
    kind = str(value.type)
    if kind.startswith("tensor("):
        kind = kind.removeprefix("tensor(").removesuffix(")")
    return GraphTensor(value.name, _DTYPES.get(kind, kind), tuple(value.shape))
