"""PyTorch run eagerly: the reference that the other backends are verified against."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import ArtifactError, BackendUnavailableError, ParameterError
from awml_deploy_core.runtime.pytorch_cuda import PytorchCudaSession, half_precision
from awml_deploy_core.runtime.pytorch_session import NAME, PytorchSession
from awml_deploy_core.runtime.session import Availability, SessionOptions, SessionSource


class PytorchBackend:
    """Runs a component's module as it is.

    ``SessionOptions.extra["pytorch"]`` may hold ``precision``: ``fp32``, or on CUDA ``fp16``.
    """

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
            ParameterError: ``options.extra["pytorch"]`` has an unknown key or value.
        """
        precision = _precision(device, options)
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
            module = half_precision(module) if precision == "fp16" else module
            return PytorchCudaSession(source.spec, device, module.eval(), options)
        return PytorchSession(source.spec, device, module.eval(), options)


def _precision(device: DeviceSpec, options: SessionOptions) -> str:
    extra: Mapping[str, Any] = options.extra.get(NAME, {})
    if unknown := sorted(set(extra) - {"precision"}):
        raise ParameterError(
            f"extra.{NAME}", "unknown option", got=", ".join(unknown), expected="precision"
        )
    known = ("fp32", "fp16") if device.kind == "cuda" else ("fp32",)
    precision = extra.get("precision", "fp32")
    if precision not in known:
        raise ParameterError(
            f"extra.{NAME}.precision",
            f"unknown precision on {device}",
            got=repr(precision),
            expected=" or ".join(known),
        )
    return str(precision)
