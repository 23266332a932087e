"""What can be known to stop an engine build before it runs."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

from awml_deploy_core.artifacts.writer import recover_bundle
from awml_deploy_core.components import ComponentSpec, TensorSpec
from awml_deploy_core.config.paths import Location
from awml_deploy_core.config.schema import DeployConfig
from awml_deploy_core.errors import AwmlDeployError, ConfigError
from awml_deploy_core.family import ModelFamily
from awml_deploy_core.runtime.binding import GraphTensor
from awml_deploy_core.runtime.cuda_driver import cuda_device
from awml_deploy_core.runtime.trt.key import EngineTarget
from awml_deploy_core.runtime.trt.library import find_library
from awml_deploy_core.runtime.trt.profiles import resolve_profile
from awml_deploy_core.runtime.trt.settings import EngineSettings
from awml_deploy_core.validation import suggest

Problem = tuple[Location, str]

_HERE: Location = ("export", "tensorrt")


def check_build(
    config: DeployConfig, family: ModelFamily[Any] | None, model: Any, *, makes_bundle: bool
) -> Iterator[Problem]:
    """Missing packages, GPU or bundle, and settings that fit neither the library nor the model."""
    try:
        settings = config.export.tensorrt.settings()
    except ConfigError as error:
        for text in error.problems or (str(error),):
            yield _HERE, text
        return
    if not makes_bundle and not config.bundle.is_dir() and not recover_bundle(config.bundle):
        yield (
            ("bundle_path",),
            f"there is no bundle at {config.bundle}; export first, or point bundle_path at one",
        )
    needed = ["onnx", *(["onnxruntime"] if settings.policy.precision == "fp16" else [])]
    if absent := [name for name in needed if importlib.util.find_spec(name) is None]:
        yield (*_HERE, "precision"), f"needs packages that are not installed; run: pip install {absent[0]}"
    yield from _check_library(settings)
    if family is not None and model is not None:
        yield from _check_profiles(settings, family.component_specs(model))


def _check_library(settings: EngineSettings) -> Iterator[Problem]:
    location = (*_HERE, "library")
    try:
        library = find_library(settings.library)
        yield from (((*_HERE,), text) for text in library.unsupported(settings))
        EngineTarget.of(library, cuda_device(0), settings)
    except AwmlDeployError as error:
        hint = f"; {error.hint}" if error.hint else ""
        yield location, f"{error.subject} {error.problem}{hint}"


def _check_profiles(settings: EngineSettings, specs: tuple[ComponentSpec, ...]) -> Iterator[Problem]:
    known = {spec.name: spec for spec in specs}
    for name, profile in settings.profiles.items():
        location = (*_HERE, "profiles", name)
        if name not in known:
            yield location, f"is no component of the model{suggest(name, known)}"
            continue
        spec = known[name]
        _, problems = resolve_profile(spec, [_graph_tensor(tensor) for tensor in spec.inputs], profile)
        yield from ((location, text.removeprefix(f"{name}.")) for text in problems)


def _graph_tensor(spec: TensorSpec) -> GraphTensor:
    """An input as the exported graph will declare it."""
    shape = tuple(axis if isinstance(axis, int) else axis.name for axis in spec.shape)
    return GraphTensor(spec.name, spec.dtype, shape)
