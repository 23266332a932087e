"""What can be known to fail before any step runs: missing files, backends, contradictions.

Every check yields ``(location, problem)`` pairs, so that one error can list them all with the
lines of the configuration they come from.
"""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from awml_deploy_core.artifacts.bundle import ModelBundle
from awml_deploy_core.artifacts.manager import PYTORCH
from awml_deploy_core.artifacts.writer import is_replaceable, recover_bundle
from awml_deploy_core.config.build_checks import check_build
from awml_deploy_core.config.paths import Location
from awml_deploy_core.config.scenarios import chosen_scenarios
from awml_deploy_core.config.schema import DeployConfig
from awml_deploy_core.config.values import EndpointSection
from awml_deploy_core.config.verification import ScenarioSection
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import AwmlDeployError, ParameterError
from awml_deploy_core.family import ModelFamily
from awml_deploy_core.runtime.registry import available_backends, load_backend

Problem = tuple[Location, str]
StepSelector = Callable[[DeployConfig], frozenset["Step"]]

EXPORT_PACKAGES = ("torch", "onnx", "onnxscript")
SIMPLIFIER = "onnxslim"
"""Needed unless simplification is turned off."""


class Step(str, Enum):
    """A step of a deployment that can be checked before it runs."""

    EXPORT = "export"
    BUILD = "build"
    VERIFY = "verify"
    EVALUATE = "evaluate"
    INFER = "infer"
    PRECISION = "precision"


def only(*steps: Step) -> StepSelector:
    """Select these steps whatever the configuration says."""
    return lambda _: frozenset(steps)


def configured_steps(config: DeployConfig) -> frozenset[Step]:
    """The steps that ``run`` does."""
    steps = set()
    if config.export.writes_bundle:
        steps.add(Step.EXPORT)
    if config.export.builds_engines:
        steps.add(Step.BUILD)
    if config.verification.enabled:
        steps.add(Step.VERIFY)
    if config.evaluation.enabled and config.evaluation.datasets:
        steps.add(Step.EVALUATE)
    return frozenset(steps)


def check(
    config: DeployConfig, family: ModelFamily[Any] | None, model: Any, steps: frozenset[Step]
) -> Iterator[Problem]:
    """Every problem that would stop one of the steps; ``family`` None leaves out what needs it."""
    if Step.EXPORT in steps:
        yield from _check_export(config)
    if Step.BUILD in steps:
        yield from check_build(config, family, model, makes_bundle=Step.EXPORT in steps)
    if Step.VERIFY in steps:
        yield from _check_verification(config, family, model, makes_bundle=Step.EXPORT in steps)
    if Step.EVALUATE in steps:
        yield from _check_evaluation(config, family, model, makes_bundle=Step.EXPORT in steps)
    if Step.INFER in steps:
        yield from _check_inference(config, family)
    if Step.PRECISION in steps:
        yield from _check_precision(config, family, model)
    if (
        steps & {Step.VERIFY, Step.EVALUATE, Step.INFER, Step.PRECISION}
        and family is not None
        and model is not None
    ):
        yield from _check_options(config, family, model, steps)


def _check_export(config: DeployConfig) -> Iterator[Problem]:
    if not config.export.writes_bundle:
        yield ("export", "mode"), f"is {config.export.mode}, so there is nothing to export"
    yield from _checkpoint(config, "export")
    yield from _writable(config.bundle)
    needed = [*EXPORT_PACKAGES, *([SIMPLIFIER] if config.export.onnx.simplify else [])]
    if absent := [name for name in needed if importlib.util.find_spec(name) is None]:
        names = " ".join(absent)
        yield ("export", "mode"), f"needs packages that are not installed; run: pip install {names}"


def _check_verification(
    config: DeployConfig, family: ModelFamily[Any] | None, model: Any, *, makes_bundle: bool
) -> Iterator[Problem]:
    section, here = config.verification, "verification"
    if not section.levels:
        yield (here, "levels"), "is empty, which checks nothing"
    if section.num_samples == 0:
        yield (here, "num_samples"), "is 0, which checks nothing; use -1 for all"
    if not section.samples:
        yield (here, "samples"), "is empty; name clouds, folders of clouds or bags"
    for index, source in enumerate(section.samples):
        yield from _source((here, "samples", index), source, family)
    scenarios = chosen_scenarios(config)
    for title, count in Counter(scenario.title for scenario in scenarios).items():
        if count > 1:
            yield (here, "scenarios"), f"{count} scenarios have the name {title!r}; give each its own"
    configured = len(section.scenarios)
    for index, scenario in enumerate(scenarios):
        location: Location = (here, "scenarios", index)
        if index >= configured:
            mode = config.export.mode
            by_mode = mode in section.scenarios_by_mode
            location = (
                (here, "scenarios_by_mode", mode, index - configured) if by_mode else (here, "scenarios")
            )
        yield from _scenario(location, scenario)
    endpoints = [end for scenario in scenarios for end in (scenario.reference, scenario.test)]
    yield from _artifacts(config, endpoints, makes_bundle=makes_bundle)
    if family is not None and model is not None:
        outputs = {t.name for spec in family.component_specs(model) for t in spec.outputs}
        for precision, tolerances in section.tolerances.items():
            for name in tolerances.outputs:
                if name not in outputs:
                    yield (
                        (here, "tolerances", precision, "outputs", name),
                        f"is not an output of the model (outputs: {', '.join(sorted(outputs))})",
                    )


def _check_evaluation(
    config: DeployConfig, family: ModelFamily[Any] | None, model: Any, *, makes_bundle: bool
) -> Iterator[Problem]:
    section, here = config.evaluation, "evaluation"
    if section.num_samples == 0:
        yield (here, "num_samples"), "is 0, which measures nothing; use -1 for all"
    if not section.datasets:
        yield (here, "datasets"), "is empty; name info files, bags, clouds or folders of clouds"
    for index, dataset in enumerate(section.datasets):
        options = {"num_past_sweeps": dataset.num_past_sweeps, "class_mapping": dataset.class_mapping}
        place = (here, "datasets", index, "source")
        yield from _source(place, dataset.source, family, config=model, **options)
    if not section.backends:
        yield (here, "backends"), "is empty; name at least one"
    names = [str(backend) for backend in section.backends]
    for name, count in Counter(names).items():
        if count > 1:
            yield (here, "backends"), f"{name} is there {count} times"
    for index, backend in enumerate(section.backends):
        unknown = backend.backend not in available_backends()
        if (problem := _backend(backend)) and (backend.required or unknown):
            hint = "" if unknown else " (or set required: false to skip it where it cannot run)"
            yield (here, "backends", index), problem + hint
    for index, floor in enumerate(section.floors):
        for name in floor.backends:
            named = name.partition(":")[0]
            if named not in available_backends():
                text = f"{named} is no backend (evaluated: {', '.join(names)})"
                yield (here, "floors", index, "backends"), text
    needed = [backend for backend in section.backends if backend.required]
    yield from _artifacts(config, list(needed), makes_bundle=makes_bundle)


def _check_inference(config: DeployConfig, family: ModelFamily[Any] | None) -> Iterator[Problem]:
    runtime = config.runtime
    endpoint = EndpointSection(backend=runtime.backend, device=runtime.device)
    if problem := _backend(endpoint):
        yield ("runtime", "backend"), problem
    yield from _artifacts(config, [endpoint], makes_bundle=False)
    if config.infer.source is None:
        yield ("infer", "source"), "is empty; name a cloud, a folder of clouds or a bag"
    else:
        yield from _source(("infer", "source"), config.infer.source, family)


def _check_precision(
    config: DeployConfig, family: ModelFamily[Any] | None, model: Any
) -> Iterator[Problem]:
    evaluation, verification = config.evaluation, config.verification
    if evaluation.datasets or not verification.samples:
        yield from _check_evaluation(config, family, model, makes_bundle=False)
    else:
        for index, source in enumerate(verification.samples):
            yield from _source(("verification", "samples", index), source, family)
    for index, dataset in enumerate(config.precision.calibration):
        options = {"num_past_sweeps": dataset.num_past_sweeps, "class_mapping": dataset.class_mapping}
        place = ("precision", "calibration", index, "source")
        yield from _source(place, dataset.source, family, config=model, **options)


def _check_options(
    config: DeployConfig, family: ModelFamily[Any], model: Any, steps: frozenset[Step]
) -> Iterator[Problem]:
    """Run-time options against the model that runs: that of a bundle on disk, unless a new one is made."""
    if Step.EXPORT not in steps and config.bundle.is_dir():
        try:
            bundle = ModelBundle.open(config.bundle, verify=False)
        except AwmlDeployError:
            # The step says what is wrong with the bundle; the options can be checked without it.
            pass
        else:
            family, model = bundle.family, bundle.config
    given = [(("runtime", "options"), config.runtime.options)]
    if steps & {Step.EVALUATE, Step.PRECISION}:
        given.append((("evaluation", "options"), config.evaluation.options))
    for place, options in given:
        try:
            family.check_options(model, options)
        except ParameterError as error:
            for problem in error.problems or (str(error),):
                yield place, problem


def _scenario(location: Location, scenario: ScenarioSection) -> Iterator[Problem]:
    if scenario.reference == scenario.test:
        yield location, f"compares {scenario.test} with itself"
    for side in ("reference", "test"):
        endpoint: EndpointSection = getattr(scenario, side)
        unknown = endpoint.backend not in available_backends()
        if (problem := _backend(endpoint)) and (scenario.required or unknown):
            hint = "" if unknown else " (or set required: false to skip it where it cannot run)"
            yield (*location, side), problem + hint


def _backend(endpoint: EndpointSection) -> str | None:
    try:
        availability = load_backend(endpoint.backend).availability(DeviceSpec.parse(endpoint.device))
    except AwmlDeployError as error:
        return str(error)
    if availability:
        return None
    text = f"{endpoint} cannot run here: {availability.detail}"
    return f"{text}. {availability.hint}" if availability.hint else text


def _artifacts(
    config: DeployConfig, endpoints: list[EndpointSection], *, makes_bundle: bool
) -> Iterator[Problem]:
    modules = sorted({str(end) for end in endpoints if end.backend == PYTORCH})
    if modules and not makes_bundle:
        yield from _checkpoint(config, ", ".join(modules))
    if not makes_bundle and not config.bundle.is_dir() and not recover_bundle(config.bundle):
        yield (
            ("bundle_path",),
            f"there is no bundle at {config.bundle}; export first, or point bundle_path at one",
        )


def _checkpoint(config: DeployConfig, user: str) -> Iterator[Problem]:
    path, location = config.checkpoint_path, ("checkpoint_path",)
    if path is None:
        yield location, f"is needed for {user}"
    elif not path.exists():
        yield location, f"does not exist: {path}"
    elif not path.is_file():
        yield location, f"is not a file: {path}"
    elif not os.access(path, os.R_OK):
        yield location, f"cannot be read by this user: {path}"
    elif path.stat().st_size == 0:
        yield location, f"is empty: {path}"


def _source(
    location: Location, source: str, family: ModelFamily[Any] | None, **options: Any
) -> Iterator[Problem]:
    if family is None:
        return
    try:
        if len(family.open_samples(source, 1, **options)) == 0:
            yield location, f"holds no samples: {source}"
    except AwmlDeployError as error:
        yield location, str(error)


def _writable(folder: Path) -> Iterator[Problem]:
    parent = folder
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        yield ("bundle_path",), f"{parent} is a file, not a folder"
    elif not os.access(parent, os.W_OK | os.X_OK):
        yield ("bundle_path",), f"this user may not write in {parent}"
    elif not is_replaceable(folder):
        yield (
            ("bundle_path",),
            f"{folder} holds something else than a bundle of this suite, so it will not be replaced; "
            "choose another folder or move this one away",
        )
