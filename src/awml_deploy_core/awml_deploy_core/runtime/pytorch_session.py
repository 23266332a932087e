"""A PyTorch module in eval mode, run on host arrays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.runtime.session import (
    NativeSession,
    SessionOptions,
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


class PytorchSession(NativeSession["torch.nn.Module"]):
    """One module in eval mode on one device."""

    def __init__(
        self, spec: ComponentSpec, device: DeviceSpec, module: torch.nn.Module, options: SessionOptions
    ) -> None:
        super().__init__(NAME, spec, device, module)
        self._options = options

    def run(self, inputs: Tensors) -> dict[str, npt.NDArray[Any]]:
        """Run the module on host arrays keyed by the spec's tensor names.

        Raises:
            TensorMismatchError: An input contradicts the spec.
            InferenceError: The session is closed, the module failed, or an output contradicts the
                spec.
        """
        import torch

        module = self._open()
        check_inputs(self._spec, inputs)
        try:
            with torch.inference_mode(), scoped_settings(self._options):
                result = module(
                    *(self._to_device(inputs[tensor.name], tensor.dtype) for tensor in self._spec.inputs)
                )
                values = [result] if isinstance(result, torch.Tensor) else list(result)
                arrays = [np.array(value.cpu().numpy()) for value in values]
        except MODULE_ERRORS as error:
            raise self._failed(error) from error
        return check_outputs(self._spec, arrays)

    def _to_device(self, value: npt.NDArray[Any], dtype: str) -> torch.Tensor:
        import torch

        # torch wants native byte order, positive strides and writable memory.
        native = np.require(value, np.dtype(dtype), ["C", "W"])
        return torch.from_numpy(native).to(str(self._device))


@contextmanager
def scoped_settings(options: SessionOptions) -> Iterator[None]:
    """Apply the options to torch's process-wide settings and put those back."""
    import torch

    threads = torch.get_num_threads()
    algorithms = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    matmul_tf32 = torch.backends.cuda.matmul.allow_tf32
    # A module that computes its attributes, which type checkers do not see.
    deterministic: Any = torch.utils.deterministic
    fill = deterministic.fill_uninitialized_memory
    try:
        if options.num_threads and options.num_threads != threads:
            torch.set_num_threads(options.num_threads)
        if not options.deterministic:
            yield
            return
        torch.use_deterministic_algorithms(True)
        # It would write every tensor twice, and the operators write all of theirs.
        deterministic.fill_uninitialized_memory = False
        torch.backends.cuda.matmul.allow_tf32 = False
        with torch.backends.cudnn.flags(
            enabled=torch.backends.cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=False
        ):
            yield
    finally:
        deterministic.fill_uninitialized_memory = fill
        torch.backends.cuda.matmul.allow_tf32 = matmul_tf32
        torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
