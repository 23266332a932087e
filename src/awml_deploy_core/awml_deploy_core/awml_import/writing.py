"""An imported configuration as a deploy.yaml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from awml_deploy_core.awml_import.importer import ImportedConfig
from awml_deploy_core.files import write_text

_PATHS = ("checkpoint_path", "work_dir", "bundle_path")
_SOURCES = {"verification": "samples", "evaluation": "datasets"}


def write_deploy_yaml(imported: ImportedConfig, path: Path, origin: Path) -> None:
    """Write the file whole or not at all; paths in it start from its folder.

    Raises:
        ArtifactError: It cannot be written.
    """
    folder = path.resolve().parent
    content: dict[str, Any] = dict(imported.content)
    for key in _PATHS:
        if isinstance(content.get(key), str):
            content[key] = _relative(content[key], folder)
    for name, key in _SOURCES.items():
        section = content.get(name)
        if isinstance(section, dict) and isinstance(section.get(key), list):
            content[name] = {**section, key: [_relative_source(source, folder) for source in section[key]]}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)
    write_text(path, f"# Imported from AWML's {origin.name}. Every key: docs/configuration.md.\n{text}")


def _relative(path: str, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _relative_source(source: str, folder: Path) -> str:
    path, separator, root = source.partition("?root=")
    shown = _relative(path, folder)
    # The root of an info file is relative to the file, not to the configuration.
    return f"{shown}?root={_relative(root, Path(path).parent)}" if separator else shown
