"""Reads and changes the parameter files of a bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from awml_extractors.centerpoint.bundle_files import ML_PACKAGE

Parameters = dict[str, Any]


def parameters(path: Path) -> Parameters:
    content: Parameters = yaml.safe_load(path.read_text())["/**"]["ros__parameters"]
    return content


def change(folder: Path, edit: Callable[[Parameters], object], name: str = ML_PACKAGE) -> None:
    content = yaml.safe_load((folder / name).read_text())
    edit(content["/**"]["ros__parameters"])
    (folder / name).write_text(yaml.safe_dump(content))
