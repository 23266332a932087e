"""What a command works on: a deploy.yaml or the folder of a bundle, both as one configuration."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_core.artifacts.writer import recover_bundle
from awml_deploy_core.awml_import import import_awml_config
from awml_deploy_core.config import LoadedConfig, load_config, load_mapping
from awml_deploy_core.config.preflight import StepSelector
from awml_deploy_core.errors import ConfigError
from awml_deploy_core.files import io_errors

PYTHON_ENDING = ".py"
"""What AWML's deploy configurations end in."""

_LOG = logging.getLogger(__name__)


def load_target(
    path: Path,
    overrides: Sequence[str] = (),
    steps: StepSelector | None = None,
    model_config: Path | None = None,
    *,
    follow_bases: bool = False,
) -> LoadedConfig:
    """Load the configuration of a deploy.yaml, or make one from a bundle folder or AWML's file.

    Args:
        path: The file or folder.
        overrides: ``key.sub=value`` each.
        steps: Chooses the steps to check before they run.
        model_config: The model's own configuration, only with AWML's deploy_config.py.
        follow_bases: Whether ``_base_`` of both is read as well; likewise.

    Raises:
        ConfigError: The target is neither, or the configuration has problems.
        ArtifactError: The folder is no bundle, or a corrupt one.
    """
    if path.suffix != PYTHON_ENDING:
        for option, is_given in (
            ("--model-config", model_config is not None),
            ("--follow-base", follow_bases),
        ):
            if is_given:
                raise ConfigError(option, "is only given with AWML's deploy_config.py", got=path)
    if is_folder(path):
        bundle = ModelBundle.open(path, verify=False)
        content = {
            "name": re.sub(r"[^A-Za-z0-9_.+-]", "_", path.resolve().name).lstrip("_.+-") or "bundle",
            "model": {"family": bundle.family.name, **bundle.family.dump_config(bundle.config)},
            "work_dir": str(path.resolve().parent),
            "bundle_path": str(path.resolve()),
            "export": {"mode": "none"},
        }
        return load_mapping(content, path, overrides, steps)
    if not path.exists():
        raise ConfigError(path, "does not exist", expected="a deploy.yaml or a bundle folder")
    if path.suffix == PYTHON_ENDING:
        imported = import_awml_config(path, model_config, follow_bases=follow_bases)
        for warning in imported.warnings:
            _LOG.warning("%s", warning)
        unused = [key.key for key in imported.keys if key.state == "unused"]
        _LOG.info("read AWML's %s; keys without counterpart: %s", path, ", ".join(unused) or "none")
        return load_mapping(imported.content, path, overrides, steps)
    return load_config(path, overrides, steps)


def is_folder(path: Path) -> bool:
    """Whether a target is a folder; a bundle that a crash set aside is brought back first.

    Raises:
        ArtifactError: It cannot be looked at: the path is too long, or leads through a closed folder.
    """
    with io_errors(path, "cannot be reached"):
        return path.is_dir() or recover_bundle(path)
