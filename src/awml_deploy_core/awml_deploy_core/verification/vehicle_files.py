"""Do the files beside a bundle's graphs, which the vehicle's own node reads, say what the manifest says?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.files import io_errors
from awml_deploy_core.verification.differences import differences


def vehicle_file_problems(bundle: ModelBundle) -> Iterator[str]:
    """One clause for every value that the bundle's own configuration would write otherwise.

    The family writes its files again. Values that only one of both has are left alone, since another
    version may have written the bundle; whether one is missing, reading the bundle says.

    Raises:
        ArtifactError: A file cannot be read or written.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle.family.write_bundle_files(bundle.config, folder)
        for path in sorted(file for file in folder.rglob("*") if file.is_file()):
            relative = path.relative_to(folder).as_posix()
            own = bundle.folder / relative
            if not own.is_file():
                yield f"{relative} is missing"
                continue
            with io_errors(own, "cannot be read"):
                same = own.read_bytes() == path.read_bytes()
            if not same:
                found, wanted = _content(own), _content(path)
                for where, value, other in differences(_common(found, wanted), _common(wanted, found)):
                    yield f"{relative}: {where} is {value}, the manifest gives {other}".replace(
                        ":  is", " is"
                    )


def _content(path: Path) -> Any:
    with io_errors(path, "cannot be read"):
        text = path.read_text(encoding="utf-8", errors="replace")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ArtifactError(path, "is no YAML", got=error) from error


def _common(a: Any, b: Any) -> Any:
    """What of a tree has a counterpart in another."""
    if not isinstance(a, Mapping) or not isinstance(b, Mapping):
        return a
    return {key: _common(value, b[key]) for key, value in a.items() if key in b}
