"""What a deploy.yaml may say about engines.

The docstring under a field is its entry in the generated configuration reference.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from awml_deploy_core.runtime.trt.settings import EngineSettings, PrecisionPolicy, ShapeRange

Shape = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, max_length=8)]
ComputeCapability = Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProfileSection(_Section):
    """The shapes of one input that an engine is built for."""

    min: Shape
    """Smallest shape."""
    opt: Shape
    """Shape the engine is fastest for."""
    max: Shape
    """Largest shape."""


class TensorRTSection(_Section):
    """How engines are built from the bundle's ONNX files."""

    library: Literal["auto", "tensorrt", "tensorrt_rtx"] = "auto"
    """`auto` takes TensorRT, and TensorRT-RTX where that is not installed."""
    precision: Literal["fp32", "tf32", "fp16", "int8"] = "fp16"
    """Arithmetic. `fp32` and `tf32` take the graph as it is, `fp16` casts it but for inputs and outputs,
    `int8` needs a graph that quantises and dequantises."""
    fp32_nodes: tuple[str, ...] = ()
    """Names of ONNX nodes that stay FP32 in `fp16`; `*` and `?` as in file names."""
    profiles: dict[str, dict[str, ProfileSection]] = Field(default_factory=dict)
    """Shapes by component and input; those not named here are the model's own."""
    workspace_mib: Annotated[int, Field(ge=1)] | None = None
    """Most scratch memory of a layer [MiB]; empty is all of the device."""
    optimization_level: Annotated[int, Field(ge=0, le=5)] | None = None
    """More is slower to build and may run faster; empty is TensorRT's default."""
    timing_cache: bool = True
    """Keep kernel timings in the bundle, so that the next build is faster (TensorRT only)."""
    version_compatible: bool = False
    """Engines that later releases of the same major version run too (TensorRT only)."""
    hardware_compatibility: Literal["none", "ampere_plus", "same_compute_capability"] = "none"
    """Engines for other GPUs than the one they are built on (TensorRT only)."""
    compute_capabilities: tuple[ComputeCapability, ...] = ()
    """GPUs to build for, e.g. `"8.9"`; empty is all from 8.0 on (TensorRT-RTX only). Turing, `"7.5"`, has
    to be named."""
    on_mismatch: Literal["build", "refuse"] = "build"
    """What happens where an engine is missing, stale, of another GPU or version, or corrupt."""

    def settings(self) -> EngineSettings:
        """The section as the builder takes it.

        Raises:
            ConfigError: Values contradict each other.
        """
        return EngineSettings(
            library=self.library,
            policy=PrecisionPolicy(self.precision, self.fp32_nodes),
            profiles={
                component: {name: ShapeRange(item.min, item.opt, item.max) for name, item in inputs.items()}
                for component, inputs in self.profiles.items()
            },
            workspace_mib=self.workspace_mib,
            optimization_level=self.optimization_level,
            timing_cache=self.timing_cache,
            version_compatible=self.version_compatible,
            hardware_compatibility=self.hardware_compatibility,
            compute_capabilities=self.compute_capabilities,
            on_mismatch=self.on_mismatch,
        )
