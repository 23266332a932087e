"""PyTorch run eagerly: the reference that the other backends are verified against."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import ArtifactError, BackendUnavailableError, InferenceError
from awml_deploy_core.runtime.session import (
    Availability,
    SessionOptions,
    SessionSource,
    Tensors,
    check_inputs,
    check_outputs,
)

if TYPE_CHECKING:
    import torch

NAME = "pytorch"

MODULE_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a module's ``forward`` raises when it fails."""


class PytorchBackend:
    """Runs a component's module as it is."""

    @property
    def name(self) -> str:
        return NAME

    def availability(self, device: DeviceSpec) -> Availability:
        """Whether PyTorch is installed and sees the device; never raises."""
        try:
            import torch
        except (ImportError, OSError) as error:
            return Availability(False, f"PyTorch cannot be imported: {error}", "pip install torch")
        if device.kind == "cuda":
            if not torch.cuda.is_available():
                return Availability(
                    False,
                    f"PyTorch {torch.__version__} sees no CUDA device",
                    "Check nvidia-smi and CUDA_VISIBLE_DEVICES."
                    if torch.version.cuda
                    else "Install a CUDA build of torch.",
                )
            if device.index >= torch.cuda.device_count():
                return Availability(
                    False, f"{device} does not exist: PyTorch sees {torch.cuda.device_count()} device(s)"
                )
        return Availability(True, f"PyTorch {torch.__version__}")

    def open_session(
        self, source: SessionSource, device: DeviceSpec, options: SessionOptions
    ) -> PytorchSession:
        """Load the source's module.

        Raises:
            BackendUnavailableError: PyTorch is not installed or the device is not usable here.
            ArtifactError: The source has no module, e.g. a bundle opened without its checkpoint.
        """
        state = self.availability(device)
        if not state:
            raise BackendUnavailableError(f"{NAME} on {device}", state.detail, hint=state.hint or None)
        if source.load_module is None:
            raise ArtifactError(
                f"component {source.spec.name}",
                "has no PyTorch module",
                expected="a checkpoint",
                hint="Give the checkpoint the bundle was exported from, or choose another backend.",
            )
        module = source.load_module()
        if device.kind == "cuda":
            # Module.to works in place, and the caller may use its module on the CPU as well.
            module = copy.deepcopy(module).to(str(device))
            if options.deterministic:
                # Without it cuBLAS has no deterministic workspace; it is read when cuBLAS starts.
                os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        return PytorchSession(source.spec, device, module.eval(), options)


class PytorchSession:
    """One module in eval mode on one device."""

    def __init__(
        self, spec: ComponentSpec, device: DeviceSpec, module: torch.nn.Module, options: SessionOptions
    ) -> None:
        self._spec = spec
        self._device = device
        self._module: torch.nn.Module | None = module
        self._options = options

    @property
    def spec(self) -> ComponentSpec:
        return self._spec

    @property
    def backend(self) -> str:
        return NAME

    @property
    def device(self) -> DeviceSpec:
        return self._device

    def run(self, inputs: Tensors) -> dict[str, npt.NDArray[Any]]:
        """Run the module on host arrays keyed by the spec's tensor names.

        Raises:
            TensorMismatchError: An input contradicts the spec.
            InferenceError: The session is closed, the module failed, or an output contradicts the
                spec.
        """
        import torch

        if self._module is None:
            raise InferenceError(f"component {self._spec.name}", "its session is closed")
        check_inputs(self._spec, inputs)
        try:
            with torch.inference_mode(), _scoped_settings(self._options):
                result = self._module(
                    *(self._to_device(inputs[tensor.name], tensor.dtype) for tensor in self._spec.inputs)
                )
                values = [result] if isinstance(result, torch.Tensor) else list(result)
                arrays = [np.array(value.cpu().numpy()) for value in values]
        except MODULE_ERRORS as error:
            raise InferenceError(
                f"component {self._spec.name}", f"{NAME} on {self._device} failed", got=error
            ) from error
        return check_outputs(self._spec, arrays)

    def close(self) -> None:
        """Release the module. Calling it twice is allowed."""
        self._module = None

    def _to_device(self, value: npt.NDArray[Any], dtype: str) -> torch.Tensor:
        import torch

        # torch wants native byte order, positive strides and writable memory.
        native = np.require(value, np.dtype(dtype), ["C", "W"])
        return torch.from_numpy(native).to(str(self._device))


@contextmanager
def _scoped_settings(options: SessionOptions) -> Iterator[None]:
    """Apply the options to torch's process-wide settings and put those back."""
    import torch

    threads = torch.get_num_threads()
    algorithms = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    matmul_tf32 = torch.backends.cuda.matmul.allow_tf32
    try:
        if options.num_threads and options.num_threads != threads:
            torch.set_num_threads(options.num_threads)
        if not options.deterministic:
            yield
            return
        torch.use_deterministic_algorithms(True)
        torch.backends.cuda.matmul.allow_tf32 = False
        with torch.backends.cudnn.flags(
            enabled=torch.backends.cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=False
        ):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul_tf32
        torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
