"""What would be built for a component and why, decided before TensorRT builds anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.errors import ArtifactError, ConfigError
from awml_deploy_core.export.graph import graph_tensor
from awml_deploy_core.export.precision import precision_problems
from awml_deploy_core.files import sha256_file
from awml_deploy_core.runtime.binding import bind
from awml_deploy_core.runtime.cuda_driver import CudaDevice
from awml_deploy_core.runtime.trt.cache import EngineCache, EngineRecord
from awml_deploy_core.runtime.trt.key import EngineKey, EngineTarget, Environment
from awml_deploy_core.runtime.trt.library import TensorRTLibrary
from awml_deploy_core.runtime.trt.profiles import example_configuration, resolve_profile
from awml_deploy_core.runtime.trt.settings import EngineSettings, ShapeRange
from awml_deploy_core.validation import suggest

if TYPE_CHECKING:
    import onnx

Action = Literal["reuse", "build", "refuse"]


@dataclass(frozen=True)
class EngineSource:
    """An ONNX file of a bundle."""

    spec: ComponentSpec
    onnx_path: Path


@dataclass(frozen=True)
class EnginePlan:
    """What is to happen for one component."""

    source: EngineSource
    key: EngineKey
    action: Action
    reasons: tuple[str, ...]
    """Why every engine that is there is not taken; of a reuse, of those before it."""
    engine: EngineRecord | None = None
    """The one that is reused."""

    @property
    def why(self) -> str:
        """The action's cause in one line."""
        if self.engine is not None:
            return f"{self.engine.path} fits"
        return "; ".join(self.reasons) or "no engine of this component"


def load_graph(path: Path) -> onnx.ModelProto:
    """Read an ONNX file.

    Raises:
        ArtifactError: It is missing, no ONNX file, or has weights in other files, whose changes no key
            of an engine would show.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx.external_data_helper import uses_external_data

    if not path.is_file():
        raise ArtifactError(path, "ONNX file is missing", hint="Export the model first.")
    try:
        model = onnx.load_model(path, load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise ArtifactError(path, "is no ONNX file", got=error, hint="Export the model again.") from error
    if outside := [tensor.name for tensor in model.graph.initializer if uses_external_data(tensor)]:
        raise ArtifactError(
            path,
            "has weights in other files",
            got=f"{len(outside)} of {len(model.graph.initializer)}, e.g. {outside[0]}",
            expected="all of them in the file itself",
            hint="Load it with onnx.load_model and save it with onnx.save_model.",
        )
    return model


def check_settings(
    library: TensorRTLibrary, settings: EngineSettings, specs: Sequence[ComponentSpec]
) -> list[str]:
    """What is wrong with the settings whatever the graphs are, one clause each."""
    names = [spec.name for spec in specs]
    return [
        *library.unsupported(settings),
        *(
            f"{name}: is no component of the bundle{suggest(name, names)}"
            for name in settings.profiles
            if name not in names
        ),
    ]


def plan_engines(
    sources: Sequence[EngineSource],
    cache: EngineCache,
    library: TensorRTLibrary,
    gpu: CudaDevice | None,
    settings: EngineSettings,
    *,
    rebuild: bool = False,
) -> tuple[EnginePlan, ...]:
    """Check every component's graph, profile and precision, and look for its engine.

    Args:
        sources: The components that need an engine.
        cache: The bundle's engines.
        library: What would build.
        gpu: What it would build on and for; None where there is none.
        settings: The user's choices.
        rebuild: Whether to build even what is there.

    Raises:
        ConfigError: Something is wrong; every problem of all components is listed, with profiles that
            would be right.
        ArtifactError: A file cannot be read.
        BackendUnavailableError: TensorRT has no GPU to build on.
    """
    specs = [source.spec for source in sources]
    problems = check_settings(library, settings, specs)
    profiles, misshapen = [], False
    for source in sources:
        profile, shapes, wrong = _check_graph(source, settings)
        profiles.append(profile)
        problems += [*shapes, *wrong]
        misshapen = misshapen or bool(shapes)
    if problems:
        example = f"Profiles that fit these components:\n{example_configuration(specs)}"
        raise ConfigError(
            "engines", "cannot be built", problems=problems, hint=example if misshapen else None
        )
    target, here = EngineTarget.of(library, gpu, settings), Environment.of(library, gpu)
    plans = []
    for source, profile in zip(sources, profiles, strict=True):
        digest = sha256_file(source.onnx_path)
        key = EngineKey.of(source.spec.name, digest, profile, settings, target)
        found, reasons = cache.find(key, here)
        if rebuild:
            reasons = [*reasons, *([f"{found.path}: a new build was asked for"] if found else [])]
            found = None
        action: Action = "reuse" if found else "build"
        if action == "build" and settings.on_mismatch == "refuse":
            action = "refuse"
        plans.append(EnginePlan(source, key, action, tuple(reasons), found))
    return tuple(plans)


def _check_graph(
    source: EngineSource, settings: EngineSettings
) -> tuple[dict[str, ShapeRange], list[str], list[str]]:
    """A component's profile, what is wrong with shapes, and what else is."""
    spec = source.spec
    model = load_graph(source.onnx_path)
    initializers = {tensor.name for tensor in model.graph.initializer}
    inputs = [graph_tensor(value) for value in model.graph.input if value.name not in initializers]
    outputs = [graph_tensor(value) for value in model.graph.output]
    profile, shapes = resolve_profile(spec, inputs, settings.profiles.get(spec.name, {}))
    problems = [f"{spec.name}: {text}" for text in precision_problems(model, settings.policy)]
    try:
        bind(spec, inputs, outputs, source.onnx_path)
    except ArtifactError as error:
        known = " ".join(shapes)
        # An input whose shape is wrong was already named above, with its profile.
        problems += [
            f"{spec.name}: {text}"
            for text in error.problems
            if not any(f"input {tensor.name}:" in text and f".{tensor.name}:" in known for tensor in inputs)
        ]
    return profile, shapes, problems
