"""From a deploy.yaml (or a mapping) to one validated configuration, or one error with everything."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from awml_deploy_core.config.document import Document, read_document
from awml_deploy_core.config.overrides import apply_overrides, overridden_keys
from awml_deploy_core.config.paths import Location, expand_variables
from awml_deploy_core.config.preflight import StepSelector, check, only
from awml_deploy_core.config.problems import describe, locate, without_faults
from awml_deploy_core.config.schema import DeployConfig
from awml_deploy_core.errors import AwmlDeployError, ConfigError
from awml_deploy_core.family import ModelFamily, available_families, load_family
from awml_deploy_core.validation import suggest


@dataclass(frozen=True, eq=False)
class LoadedConfig:
    """A validated configuration with its model family."""

    origin: Path
    """The deploy.yaml or the bundle folder it was made from."""
    deploy: DeployConfig
    family: ModelFamily[Any]
    model: Any
    """The family's own configuration."""


def load_config(
    path: Path, overrides: Sequence[str] = (), steps: StepSelector | None = None
) -> LoadedConfig:
    """Load a deploy.yaml and check that the selected steps can run.

    Args:
        path: The file; relative paths in it start from its folder.
        overrides: ``key.sub=value`` each; relative paths in them start from the working directory.
        steps: Chooses the steps that are about to run; None checks none of them.

    Raises:
        ConfigError: One or more problems; all are listed, with lines.
    """
    return _load(read_document(path), path, path.resolve().parent, overrides, steps)


def load_mapping(
    content: dict[str, Any],
    origin: Path,
    overrides: Sequence[str] = (),
    steps: StepSelector | None = None,
) -> LoadedConfig:
    """Like :func:`load_config` for content that is not in a file; paths start from ``origin``."""
    return _load(Document(content), origin, origin.resolve(), overrides, steps)


def _load(
    document: Document, origin: Path, base: Path, overrides: Sequence[str], steps: StepSelector | None
) -> LoadedConfig:
    problems = list(document.problems)
    content, missing = expand_variables(document.content, os.environ)
    problems += [
        locate(
            document, where, f"environment variable {name} is not set; set it or write ${{{name}:-default}}"
        )
        for where, name in missing
    ]
    content, override_problems = apply_overrides(content, overrides)
    problems += override_problems
    document = replace(document, overridden=overridden_keys(overrides))
    faults: list[Location] = []
    context = {"base": base}
    deploy: DeployConfig | None
    try:
        deploy = DeployConfig.model_validate(content, context=context)
    except ValidationError as error:
        problems += describe(error, document)
        faults = [item["loc"] for item in error.errors(include_url=False)]
        deploy = without_faults(content, context)
    family, model = _load_model(content, document, problems)
    if deploy is not None:
        selected = (steps or only())(deploy)
        problems += [
            locate(document, where, text)
            for where, text in check(deploy, family, model, selected)
            if not any(where == known for known, _ in missing)
            # What was left out because it is wrong is not also missing.
            and not any(where == fault[: len(where)] for fault in faults)
        ]
    if problems or deploy is None or family is None:
        raise ConfigError(origin, _headline(len(problems)), problems=problems)
    return LoadedConfig(origin, deploy, family, model)


def _headline(count: int) -> str:
    return f"has {count} problem{'s' if count != 1 else ''}"


def _load_model(
    content: dict[str, Any], document: Document, problems: list[str]
) -> tuple[ModelFamily[Any] | None, Any]:
    section = content.get("model")
    if not isinstance(section, dict) or not isinstance(section.get("family"), str):
        return None, None
    name = section["family"]
    if name not in available_families():
        problems.append(
            locate(
                document,
                ("model", "family"),
                f"unknown family {name!r}" + suggest(name, available_families()),
            )
        )
        return None, None
    try:
        family = load_family(name)
    except AwmlDeployError as error:
        problems.append(locate(document, ("model", "family"), str(error)))
        return None, None
    try:
        return family, family.parse_config(
            {key: value for key, value in section.items() if key != "family"}
        )
    except ConfigError as error:
        problems += [_model_problem(document, text) for text in error.problems or (str(error),)]
    return family, None


def _model_problem(document: Document, text: str) -> str:
    """A family's ``key.sub: clause`` with the line it comes from."""
    key, separator, clause = text.partition(": ")
    location = tuple(key.removeprefix("model.").split("."))
    if separator and all(part.isidentifier() or part.isdigit() for part in location):
        return locate(document, ("model", *location), clause)
    return f"model: {text}"
