"""Provenance of a bundle: what it holds and what every file was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from platform import python_version
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.errors import ArtifactError, TensorMismatchError
from awml_deploy_core.files import io_errors, sha256_file, write_text
from awml_deploy_core.packages import installed_versions
from awml_deploy_core.runtime.trt.cache import EngineRecord
from awml_deploy_core.validation import problem_clauses

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1

_PACKAGES = ("awml_deploy_core", "torch", "onnx", "onnxscript", "onnxslim", "onnxruntime", "numpy")


def _check_relative(path: str) -> str:
    pure = PurePosixPath(path)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or str(pure) != path:
        raise ValueError("not a path inside the bundle")
    return path


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
BundlePath = Annotated[str, AfterValidator(_check_relative)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(_Frozen):
    """One file of the bundle."""

    path: BundlePath
    """Relative to the bundle, with forward slashes."""
    sha256: Sha256
    size: Annotated[int, Field(ge=0)]
    """Bytes."""
    produced_by: str
    """The tool that wrote it and its decisive settings."""

    @classmethod
    def of(cls, folder: Path, path: str, produced_by: str) -> FileRecord:
        """Record a file as it is now.

        Raises:
            ArtifactError: It cannot be read.
        """
        file = folder / path
        digest = sha256_file(file)
        return cls(path=path, sha256=digest, size=file.stat().st_size, produced_by=produced_by)


class SourceRecord(_Frozen):
    """An input of the export that is not part of the bundle."""

    name: str
    """File name without its folder."""
    sha256: Sha256
    size: Annotated[int, Field(ge=0)]

    @classmethod
    def of(cls, path: Path) -> SourceRecord:
        """Record a file as it is now.

        Raises:
            ArtifactError: It cannot be read.
        """
        digest = sha256_file(path)
        return cls(name=path.name, sha256=digest, size=path.stat().st_size)


class Provenance(_Frozen):
    """What a bundle was made from, with what, and when."""

    created: AwareDatetime
    """UTC."""
    checkpoint: SourceRecord | None = None
    deploy_config: SourceRecord | None = None
    export: dict[str, Any] = Field(default_factory=dict)
    """What each component's exporter reports: opset, graph capture, options."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Of Python and the packages that took part, by name."""

    @classmethod
    def now(
        cls,
        *,
        checkpoint: Path | None = None,
        deploy_config: Path | None = None,
        export: dict[str, Any] | None = None,
        plugins: Mapping[str, str] | None = None,
    ) -> Provenance:
        """Provenance of an export that happens now on this machine.

        Args:
            checkpoint: The weights.
            deploy_config: The file that asked for it.
            export: What each component's exporter reports.
            plugins: Versions of the packages of plug-ins that took part, such as the model family.

        Raises:
            ArtifactError: A source file cannot be read.
        """
        return cls(
            created=datetime.now(timezone.utc).replace(microsecond=0),
            checkpoint=SourceRecord.of(checkpoint) if checkpoint else None,
            deploy_config=SourceRecord.of(deploy_config) if deploy_config else None,
            export=export or {},
            versions={
                "python": python_version(),
                **(plugins or {}),
                **installed_versions(_PACKAGES),
            },
        )


class Manifest(_Frozen):
    """The content of ``manifest.json``."""

    schema_version: Annotated[int, Field(ge=1, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    family: str
    """Entry-point name of the model family."""
    model: dict[str, Any]
    """The family's configuration, conventions of the outputs included."""
    components: tuple[ComponentSpec, ...]
    """In execution order."""
    files: tuple[FileRecord, ...]
    """Every file of the bundle but engines and the manifest itself, sorted by path."""
    engines: tuple[EngineRecord, ...] = ()
    """What was built from the ONNX files; a bundle is whole without them."""
    provenance: Provenance

    def write(self, folder: Path) -> Path:
        """Write ``manifest.json`` into a bundle folder.

        Raises:
            ArtifactError: It cannot be written.
        """
        path = folder / MANIFEST_NAME
        write_text(path, json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")
        return path

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read ``manifest.json`` of a bundle folder.

        Raises:
            ArtifactError: It is missing, no JSON, of a newer schema or invalid; every problem is
                listed.
        """
        path = folder / MANIFEST_NAME
        with io_errors(path, "cannot be read"):
            content = path.read_bytes()
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            problems = problem_clauses(error, cls)
        except TensorMismatchError as error:
            problems = [str(error)]
        raise ArtifactError(
            path,
            "is not a valid manifest",
            expected=f"schema version {SCHEMA_VERSION}",
            problems=problems,
            hint="Export the bundle again, or open it with the version that wrote it.",
        )

    def file_problems(self, folder: Path, *, hashes: bool = True) -> list[str]:
        """Every recorded file that is missing or changed in ``folder``, one clause each.

        Args:
            folder: The bundle.
            hashes: Whether to compare contents; without, presence and sizes only.

        Raises:
            ArtifactError: A file cannot be read.
        """
        problems = []
        for record in self.files:
            path = folder / record.path
            if not path.is_file():
                problems.append(f"{record.path} is missing")
            elif (size := path.stat().st_size) != record.size:
                problems.append(f"{record.path} has {size} bytes, expected {record.size}")
            elif hashes and (digest := sha256_file(path)) != record.sha256:
                problems.append(f"{record.path} has SHA-256 {digest}, expected {record.sha256}")
        recorded = {record.path for record in self.files}
        problems += [
            f"{spec.onnx_file} of component {spec.name} is not recorded"
            for spec in self.components
            if spec.onnx_file not in recorded
        ]
        return problems
