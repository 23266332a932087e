"""What a user decides about an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from awml_deploy_core.errors import ConfigError

LibraryName = Literal["tensorrt", "tensorrt_rtx"]
LibraryChoice = Literal["auto", "tensorrt", "tensorrt_rtx"]
Precision = Literal["fp32", "tf32", "fp16", "int8"]
HardwareCompatibility = Literal["none", "ampere_plus", "same_compute_capability"]
MismatchPolicy = Literal["build", "refuse"]

MAX_OPTIMIZATION_LEVEL = 5


@dataclass(frozen=True)
class PrecisionPolicy:
    """The arithmetic of a network, which its ONNX graph carries: networks are strongly typed.

    ``fp32`` and ``tf32`` take the graph as it is, without and with TF32 matrix cores. ``fp16``
    casts it, inputs and outputs and the nodes in ``fp32_nodes`` excepted. ``int8`` takes a graph
    that quantises and dequantises (QuantizeLinear, DequantizeLinear).
    """

    precision: Precision = "fp16"
    fp32_nodes: tuple[str, ...] = ()
    """Names of ONNX nodes that stay FP32; ``*``, ``?`` and ``[...]`` as in file names."""

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise ConfigError(
                "precision",
                "unknown precision",
                got=repr(self.precision),
                expected=" or ".join(get_args(Precision)),
            )
        if self.fp32_nodes and self.precision != "fp16":
            raise ConfigError(
                "fp32_nodes", "are exceptions of fp16", got=f"precision {self.precision}", expected="fp16"
            )


@dataclass(frozen=True)
class ShapeRange:
    """The shapes of one input that an engine is built for."""

    min: tuple[int, ...]
    opt: tuple[int, ...]
    """What it is fastest for."""
    max: tuple[int, ...]

    def __str__(self) -> str:
        return " .. ".join("x".join(map(str, shape)) for shape in (self.min, self.opt, self.max))


Profile = Mapping[str, ShapeRange]
"""Of one component: shape ranges by input name."""


@dataclass(frozen=True)
class EngineSettings:
    """Settings of the engines of a bundle.

    Raises:
        ConfigError: A value is out of range.
    """

    library: LibraryChoice = "auto"
    """``auto`` takes TensorRT, and TensorRT-RTX where that is not installed."""
    policy: PrecisionPolicy = PrecisionPolicy()
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    """By component, in place of the ranges that the component declares."""
    workspace_mib: int | None = None
    """Most scratch memory of a layer [MiB]; None is all of the device."""
    optimization_level: int | None = None
    """0 to 5, more is slower to build; None is the library's default."""
    timing_cache: bool = True
    version_compatible: bool = False
    hardware_compatibility: HardwareCompatibility = "none"
    compute_capabilities: tuple[str, ...] = ()
    """TensorRT-RTX: GPUs to build for, e.g. ``8.9``; empty is all from 8.0 on, without Turing."""
    on_mismatch: MismatchPolicy = "build"
    """Whether an engine that is missing, stale, foreign or corrupt is built or refused."""

    def __post_init__(self) -> None:
        problems = []
        level, workspace = self.optimization_level, self.workspace_mib
        if level is not None and not 0 <= level <= MAX_OPTIMIZATION_LEVEL:
            problems.append(f"optimization_level {level} is not in 0..{MAX_OPTIMIZATION_LEVEL}")
        if workspace is not None and workspace < 1:
            problems.append(f"workspace_mib {workspace} is below 1")
        problems += _unknown("library", self.library, get_args(LibraryChoice))
        problems += _unknown(
            "hardware_compatibility", self.hardware_compatibility, get_args(HardwareCompatibility)
        )
        problems += _unknown("on_mismatch", self.on_mismatch, get_args(MismatchPolicy))
        if problems:
            raise ConfigError("TensorRT settings", "are invalid", problems=problems)


def _unknown(name: str, value: str, known: Sequence[str]) -> list[str]:
    return [] if value in known else [f"{name} {value!r} is not one of {', '.join(known)}"]
