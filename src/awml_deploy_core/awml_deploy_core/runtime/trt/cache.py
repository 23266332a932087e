"""Engines in the ``engines/`` folder of a bundle, each with a record that says what it is.

An engine is read only after its record and its SHA-256 were found right: a foreign or damaged one
never reaches TensorRT, which may crash on it.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.files import atomic_write, io_errors, sha256_file, write_bytes, write_text
from awml_deploy_core.runtime.trt.key import EngineKey, Environment
from awml_deploy_core.validation import problem_clauses

FOLDER = "engines"
SCHEMA_VERSION = 1

_LOG = logging.getLogger(__name__)
_RECORD = ".json"
_LAYERS = ".layers.json"
_OWN_NAME = re.compile(r"\.?.+\.[0-9a-f]{16}\.engine(\.layers)?(\.json)?(\.[0-9a-f]+\.tmp)?|\..+\.tmp")


class EngineRecord(BaseModel):
    """One engine of a bundle: its file, its key and where it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Annotated[int, Field(ge=1, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    path: Annotated[str, Field(pattern=rf"^{FOLDER}/[^/]+$")]
    """Relative to the bundle."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]
    """Bytes."""
    key: EngineKey
    created: AwareDatetime
    seconds: float
    """What the build took."""
    layers: str | None = None
    """File of the layer information, relative to the bundle."""
    details: dict[str, Any] = Field(default_factory=dict)
    """JSON-ready facts of the build: versions, layers, casts."""


@dataclass(frozen=True)
class Broken:
    """A record that cannot be used."""

    path: str
    """Relative to the bundle."""
    problem: str


class EngineCache:
    """Reads and writes the engines of a bundle; the writer holds the bundle's lock."""

    def __init__(self, bundle: Path) -> None:
        self._bundle = bundle

    @property
    def folder(self) -> Path:
        """Where the engines are."""
        return self._bundle / FOLDER

    def entries(self) -> list[EngineRecord | Broken]:
        """Every record, sorted by file name.

        A record that another process removes meanwhile, as a new build of its engine does, is not there.

        Raises:
            ArtifactError: The folder cannot be read.
        """
        with io_errors(self.folder, "cannot be read"):
            names = sorted(
                path.name
                for path in self.folder.glob(f"*.engine{_RECORD}")
                if not path.name.startswith(".")
            )
            return [entry for name in names if (entry := self._read(name)) is not None]

    def records(self) -> list[EngineRecord]:
        """The records that can be read."""
        return [entry for entry in self.entries() if isinstance(entry, EngineRecord)]

    def find(self, wanted: EngineKey, here: Environment) -> tuple[EngineRecord | None, list[str]]:
        """An engine that is the wanted one and undamaged, and why each other one is not.

        Raises:
            ArtifactError: The folder cannot be read.
        """
        reasons = []
        for entry in self.entries():
            if isinstance(entry, Broken):
                if entry.path.startswith(f"{FOLDER}/{wanted.component}."):
                    reasons.append(f"{entry.path}: {entry.problem}")
                continue
            if entry.key.component != wanted.component:
                continue
            wrong = entry.key.differences(wanted, here)
            if not wrong and (damage := self.damage(entry)):
                wrong = [damage]
            if not wrong:
                return entry, reasons
            reasons.append(f"{entry.path}: {'; '.join(wrong)}")
        return None, reasons

    def damage(self, record: EngineRecord) -> str | None:
        """How an engine's file differs from its record, or None.

        Raises:
            ArtifactError: The file is there but cannot be read.
        """
        path = self._bundle / record.path
        try:
            with io_errors(path, "cannot be read"):
                size = path.stat().st_size
            if size != record.size:
                return f"corrupt: {size} bytes, recorded {record.size}"
            digest = sha256_file(path)
        except ArtifactError:
            # Another process may remove it at any time.
            if path.exists():
                raise
            return "the file is missing"
        if digest != record.sha256:
            return f"corrupt: SHA-256 {digest[:12]}, recorded {record.sha256[:12]}"
        return None

    def load(self, record: EngineRecord) -> bytes:
        """The engine, checked as it was read.

        Raises:
            ArtifactError: It is missing or not what its record says.
        """
        path = self._bundle / record.path
        with io_errors(path, "cannot be read"):
            content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != record.sha256:
            raise ArtifactError(
                path,
                "is corrupt",
                got=f"{len(content)} bytes of another SHA-256",
                expected=f"{record.size} bytes, SHA-256 {record.sha256}",
                hint="Build it again: awml-deploy build.",
            )
        return content

    def store(
        self,
        key: EngineKey,
        engine: bytes | memoryview,
        layers: str,
        *,
        seconds: float,
        details: Mapping[str, Any],
    ) -> EngineRecord:
        """Write an engine; it counts from the moment its record, which comes last, is in place.

        Raises:
            ArtifactError: It cannot be written.
        """
        with io_errors(self.folder, "cannot be made"):
            self.folder.mkdir(exist_ok=True)
        name = key.file_name
        # A record of an older engine of this name would vouch for the file that is written now.
        with io_errors(self.folder / name, "cannot be replaced"), suppress(FileNotFoundError):
            (self.folder / f"{name}{_RECORD}").unlink()
        with atomic_write(self.folder / name) as stream:
            stream.write(engine)
        write_text(self.folder / f"{name}{_LAYERS}", layers)
        record = EngineRecord(
            path=f"{FOLDER}/{name}",
            sha256=hashlib.sha256(engine).hexdigest(),
            size=len(engine),
            key=key,
            created=datetime.now(timezone.utc).replace(microsecond=0),
            seconds=round(seconds, 3),
            layers=f"{FOLDER}/{name}{_LAYERS}",
            details=dict(details),
        )
        write_text(self.folder / f"{name}{_RECORD}", record.model_dump_json(indent=2) + "\n")
        return record

    def sweep(self, onnx_hashes: Mapping[str, str]) -> list[str]:
        """Remove what no engine can come from again: interrupted writes, and engines of other ONNX files.

        Args:
            onnx_hashes: SHA-256 of the bundle's ONNX files by component.

        Returns:
            Names of the removed files.

        Raises:
            ArtifactError: A file cannot be removed.
        """
        removed = []
        with io_errors(self.folder, "cannot be cleaned"):
            for path in self.dead_files(onnx_hashes):
                path.unlink(missing_ok=True)
                removed.append(path.name)
        if removed:
            _LOG.info("removed stale engine files", extra={"files": ", ".join(removed)})
        return removed

    def dead_files(self, onnx_hashes: Mapping[str, str]) -> list[Path]:
        """What :meth:`sweep` would remove, sorted.

        Raises:
            ArtifactError: The folder cannot be read.
        """
        if not self.folder.is_dir():
            return []
        kept = set()
        for record in self.records():
            if onnx_hashes.get(record.key.component) == record.key.onnx_sha256:
                name = record.path.rpartition("/")[2]
                kept |= {name, f"{name}{_RECORD}", f"{name}{_LAYERS}"}
        with io_errors(self.folder, "cannot be read"):
            return [
                path for path in sorted(self.folder.iterdir()) if path.name not in kept and _is_ours(path)
            ]

    def others(self, kept: Sequence[EngineKey]) -> list[EngineRecord]:
        """Engines that a session could take as well as one of ``kept``.

        They differ in the profile, the exceptions of the precision or the builder's flags alone. A
        session knows none of these and refuses to start where it would have to choose.

        Raises:
            ArtifactError: The folder cannot be read.
        """
        return [
            record
            for record in self.records()
            if record.key not in kept and any(record.key.rivals(key) for key in kept)
        ]

    def discard_others(self, kept: Sequence[EngineKey]) -> None:
        """Remove the engines that :meth:`others` finds.

        Raises:
            ArtifactError: A file cannot be removed.
        """
        for record in self.others(kept):
            with io_errors(self._bundle / record.path, "cannot be removed"):
                for suffix in (_RECORD, _LAYERS, ""):
                    (self._bundle / f"{record.path}{suffix}").unlink(missing_ok=True)
            _LOG.info("removed an engine of other settings", extra={"file": record.path})

    def timing_cache(self, name: str) -> bytes:
        """Timings of earlier builds; empty where there are none.

        Raises:
            ArtifactError: They cannot be read.
        """
        path = self.folder / name
        with io_errors(path, "cannot be read"):
            return path.read_bytes() if path.is_file() else b""

    def store_timing_cache(self, name: str, content: bytes) -> None:
        """Keep the timings of a build.

        Raises:
            ArtifactError: They cannot be written.
        """
        write_bytes(self.folder / name, content)

    def _read(self, name: str) -> EngineRecord | Broken | None:
        """One record; None if it is not there any more."""
        where = f"{FOLDER}/{name}"
        try:
            record = EngineRecord.model_validate_json((self.folder / name).read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            return Broken(where, f"unreadable record: {'; '.join(problem_clauses(error, EngineRecord))}")
        if f"{record.path}{_RECORD}" != where:
            return Broken(where, f"foreign record: it describes {record.path}")
        if record.path.rpartition("/")[2] != (name := record.key.file_name):
            return Broken(where, f"its key is that of {name}: edited, or of another release of this suite")
        return record


def _is_ours(path: Path) -> bool:
    """Whether a file of the cache's folder has a name that this cache gives, or that of a write to it."""
    return path.is_file() and _OWN_NAME.fullmatch(path.name) is not None
