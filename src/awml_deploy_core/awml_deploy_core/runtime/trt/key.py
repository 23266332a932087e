"""What decides whether a stored engine is the one that is wanted and can run here."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from awml_deploy_core.errors import BackendUnavailableError
from awml_deploy_core.runtime.cuda_driver import CudaDevice
from awml_deploy_core.runtime.trt.library import TensorRTLibrary
from awml_deploy_core.runtime.trt.settings import EngineSettings, LibraryName, Precision, ShapeRange

ANY = "any"
_DIGEST_CHARACTERS = 16
_AMPERE_PLUS = "8.0+"
"""Of engines that are compatible with Ampere and later, and of those of TensorRT-RTX, which leaves
Turing out unless 7.5 is asked for (its documentation, "CPU-only AOT and TensorRT-RTX engines")."""


def this_platform() -> str:
    """Operating system and processor, e.g. ``linux-x86_64``: TensorRT refuses the engines of others."""
    return f"{platform.system()}-{platform.machine()}".lower()


@dataclass(frozen=True)
class Environment:
    """What an engine would run in."""

    library: LibraryName
    version: str
    gpu: CudaDevice | None
    platform: str = field(default_factory=this_platform)

    @classmethod
    def of(cls, library: TensorRTLibrary, gpu: CudaDevice | None) -> Environment:
        """That of an installed library and a device."""
        return cls(library.name, library.version, gpu)

    def __str__(self) -> str:
        return f"{self.library} {self.version}, {_gpu_text(self.gpu)}"


@dataclass(frozen=True)
class EngineTarget:
    """What an engine was built with, and for which GPUs."""

    library: LibraryName
    version: str
    gpu: str
    """Name as the driver gives it, or ``any``."""
    compute_capability: str
    """``8.9``, a list ``8.6,8.9``, or ``8.0+``."""
    version_compatible: bool = False
    multiprocessors: int | None = None
    """Of the GPU; None is any number."""
    platform: str = ANY
    """As :func:`this_platform` gives it, or ``any``."""

    @classmethod
    def of(cls, library: TensorRTLibrary, gpu: CudaDevice | None, settings: EngineSettings) -> EngineTarget:
        """The target of an engine that would be built now.

        Raises:
            BackendUnavailableError: TensorRT, which builds on the GPU, has none.
        """
        if library.is_rtx:
            capability = ",".join(sorted(set(settings.compute_capabilities))) or _AMPERE_PLUS
            return cls(library.name, library.version, ANY, capability)
        if gpu is None:
            raise BackendUnavailableError(
                "TensorRT",
                "builds engines on the GPU they are for, and there is none",
                expected="an NVIDIA GPU with its driver",
                hint="Build on the vehicle's computer, or with TensorRT-RTX (library: tensorrt_rtx).",
            )
        name, capability, count = gpu.name, gpu.compute_capability, gpu.multiprocessors
        if settings.hardware_compatibility == "ampere_plus":
            name, capability, count = ANY, _AMPERE_PLUS, None
        elif settings.hardware_compatibility == "same_compute_capability":
            name, count = ANY, None
        return cls(
            library.name,
            library.version,
            name,
            capability,
            settings.version_compatible,
            count,
            this_platform(),
        )

    def misfits(self, here: Environment) -> list[str]:
        """Why an engine of this target cannot run there, one clause each; empty if it can.

        What is not known about the GPU, because there is none, is no reason.
        """
        reasons = []
        if self.library != here.library:
            reasons.append(f"built by {self.library}, here is {here.library}")
        elif not self._runs_with(here.version):
            reasons.append(f"built by {self.library} {self.version}, here is {here.version}")
        if self.platform not in (ANY, here.platform):
            reasons.append(f"built on {self.platform}, here is {here.platform}")
        if here.gpu is None:
            return reasons
        if self.gpu not in (ANY, here.gpu.name):
            reasons.append(f"built for {self.gpu}, here is {here.gpu.name}")
        elif None not in (self.multiprocessors, count := here.gpu.multiprocessors) and (
            self.multiprocessors != count
        ):
            reasons.append(
                f"built for {self.gpu} with {self.multiprocessors} multiprocessors, here are {count}"
            )
        if not self._runs_on(here.gpu.compute_capability):
            reasons.append(
                f"built for compute capability {self.compute_capability}, "
                f"{here.gpu.name} has {here.gpu.compute_capability}"
            )
        return reasons

    def overlaps(self, other: EngineTarget) -> bool:
        """Whether there is a machine that engines of both targets run on."""
        if self.library != other.library:
            return False
        if not (self._runs_with(other.version) or other._runs_with(self.version)):
            return False
        for mine, others in ((self.gpu, other.gpu), (self.platform, other.platform)):
            if mine != others and ANY not in (mine, others):
                return False
        counts = {self.multiprocessors, other.multiprocessors} - {None}
        if len(counts) > 1:
            return False
        return any(other._runs_on(text) for text in self._capabilities()) or any(
            self._runs_on(text) for text in other._capabilities()
        )

    def _capabilities(self) -> list[str]:
        """Some it runs on; of a range its start, and the range itself is in :meth:`_runs_on`."""
        return self.compute_capability.rstrip("+").split(",")

    def _runs_with(self, version: str) -> bool:
        if not self.version_compatible:
            return self.version == version
        return _numbers(version)[:1] == _numbers(self.version)[:1] and _numbers(version) >= _numbers(
            self.version
        )

    def _runs_on(self, capability: str) -> bool:
        if self.compute_capability.endswith("+"):
            return _numbers(capability) >= _numbers(self.compute_capability[:-1])
        return capability in self.compute_capability.split(",")

    def __str__(self) -> str:
        gpu = "any GPU" if self.gpu == ANY else self.gpu
        return f"{self.library} {self.version}, {gpu} of {self.compute_capability}"


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine depends on: two engines of one key are interchangeable."""

    component: str
    onnx_sha256: str
    """Of the bundle's file, before any cast."""
    precision: Precision
    profile: Mapping[str, ShapeRange]
    """By the name of the graph's input."""
    target: EngineTarget
    fp32_nodes: tuple[str, ...] = ()
    flags: Mapping[str, str] = field(default_factory=dict)
    """Builder settings that were chosen, by name."""

    @classmethod
    def of(
        cls,
        component: str,
        onnx_sha256: str,
        profile: Mapping[str, ShapeRange],
        settings: EngineSettings,
        target: EngineTarget,
    ) -> EngineKey:
        """The key of an engine that would be built with these settings."""
        chosen = {
            "workspace_mib": settings.workspace_mib,
            "optimization_level": settings.optimization_level,
        }
        flags = {name: str(value) for name, value in chosen.items() if value is not None}
        if settings.version_compatible:
            flags["version_compatible"] = "true"
        if settings.hardware_compatibility != "none":
            flags["hardware_compatibility"] = settings.hardware_compatibility
        policy = settings.policy
        return cls(
            component,
            onnx_sha256,
            policy.precision,
            dict(profile),
            target,
            tuple(sorted(policy.fp32_nodes)),
            flags,
        )

    @property
    def digest(self) -> str:
        """Short hash over every part."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARACTERS]

    @property
    def file_name(self) -> str:
        """Of the engine in the bundle's cache."""
        return f"{self.component}.{self.precision}.{self.digest}.engine"

    def rivals(self, other: EngineKey) -> bool:
        """Whether there is a machine on which a session could take this engine as well as the other."""
        return (self.component, self.onnx_sha256, self.precision) == (
            other.component,
            other.onnx_sha256,
            other.precision,
        ) and self.target.overlaps(other.target)

    def differences(self, wanted: EngineKey, here: Environment) -> list[str]:
        """Why this engine is not the wanted one, or cannot run there; empty if it is and can."""
        reasons = []
        if self.component != wanted.component:
            return [f"of component {self.component}"]
        if self.onnx_sha256 != wanted.onnx_sha256:
            reasons.append(
                f"built from another ONNX file (SHA-256 {self.onnx_sha256[:12]}, "
                f"the bundle's is {wanted.onnx_sha256[:12]})"
            )
        if self.precision != wanted.precision:
            reasons.append(f"precision {self.precision}, wanted {wanted.precision}")
        elif self.fp32_nodes != wanted.fp32_nodes:
            reasons.append("other fp32_nodes")
        if dict(self.profile) != dict(wanted.profile):
            reasons.append(f"profile {_profile_text(self.profile)}, wanted {_profile_text(wanted.profile)}")
        if dict(self.flags) != dict(wanted.flags):
            reasons.append(f"builder flags {_flags_text(self.flags)}, wanted {_flags_text(wanted.flags)}")
        reasons += self.target.misfits(here)
        if not reasons and self.target.compute_capability != wanted.target.compute_capability:
            reasons.append(
                f"for compute capability {self.target.compute_capability}, "
                f"wanted {wanted.target.compute_capability}"
            )
        return reasons


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _gpu_text(gpu: CudaDevice | None) -> str:
    return f"{gpu.name} (compute capability {gpu.compute_capability})" if gpu else "no GPU"


def _profile_text(profile: Mapping[str, ShapeRange]) -> str:
    return ", ".join(f"{name} {shapes}" for name, shapes in profile.items()) or "none"


def _flags_text(flags: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(flags.items())) or "none"
