"""Writes a bundle that appears whole or not at all."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import Timeout
from typing_extensions import Self

from awml_deploy_core.artifacts.exchange import recover_folder, replace_folder, set_aside_path
from awml_deploy_core.artifacts.manifest import MANIFEST_NAME, FileRecord, Manifest, Provenance
from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.files import folder_lock, fsync_tree, io_errors
from awml_deploy_core.runtime.trt.cache import EngineCache, EngineRecord

_LOG = logging.getLogger(__name__)

LOCK_TIMEOUT = 10.0
"""Seconds to wait for another process that writes the same bundle."""


class BundleWriter:
    """Collects a bundle's files in a staging folder beside it and swaps it in as a whole.

    Use as a context manager: write files into :attr:`staging`, then :meth:`commit`. Leaving the
    block without a commit, or being killed anywhere, leaves the previous bundle as it was; what
    was staged is removed at once, or at the next write. One process at a time writes a bundle.

    Files beside the recorded ones in the previous bundle are kept, engines only if they were built
    from the same ONNX files.
    """

    def __init__(self, folder: Path, *, lock_timeout: float = LOCK_TIMEOUT) -> None:
        self._folder = folder.resolve()
        self._lock = folder_lock(self._folder)
        self._lock_timeout = lock_timeout
        self._staging: Path | None = None

    @property
    def staging(self) -> Path:
        """Where to write the bundle's files.

        Raises:
            ArtifactError: The writer was not entered or has already committed.
        """
        if self._staging is None:
            raise ArtifactError(self._folder, "bundle writer is not open")
        return self._staging

    def __enter__(self) -> Self:
        with io_errors(self._folder, "bundle cannot be written"):
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=self._lock_timeout)
            except Timeout:
                raise ArtifactError(
                    self._folder,
                    "another process is writing this bundle",
                    hint="Wait for it to end or choose another folder.",
                ) from None
            try:
                self._prepare()
            except BaseException:
                self._lock.release()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._staging is not None:
                shutil.rmtree(self._staging, ignore_errors=True)
                self._staging = None
        finally:
            self._lock.release()

    def commit(
        self,
        *,
        family: str,
        model: Mapping[str, Any],
        components: Sequence[ComponentSpec],
        provenance: Provenance,
        produced_by: Mapping[str, str] | None = None,
    ) -> Manifest:
        """Write the manifest over everything staged and put the bundle in its place.

        Args:
            family: Name of the model family.
            model: The family's dumped configuration.
            components: In execution order.
            provenance: What the bundle was made from.
            produced_by: What wrote each file, by relative path; the others are the family's.

        Raises:
            ArtifactError: A component's file was not staged, or the bundle cannot be written.
        """
        staging, makers = self.staging, produced_by or {}
        with io_errors(self._folder, "bundle cannot be written"):
            names = sorted(path.relative_to(staging).as_posix() for path in _files(staging))
            files = tuple(
                FileRecord.of(staging, name, makers.get(name, f"model family {family}")) for name in names
            )
            self._keep_unrecorded(staging)
            manifest = Manifest(
                family=family,
                model=dict(model),
                components=tuple(components),
                files=files,
                engines=_kept_engines(staging, components, files),
                provenance=provenance,
            )
            if problems := manifest.file_problems(staging, hashes=False):
                raise ArtifactError(self._folder, "bundle is incomplete", problems=problems)
            manifest.write(staging)
            fsync_tree(staging)
            replace_folder(staging, self._folder)
        self._staging = None
        return manifest

    def _prepare(self) -> None:
        recover_folder(self._folder)
        for stale in self._folder.parent.glob(f".{_escaped(self._folder.name)}.staging-*"):
            shutil.rmtree(stale)
        if not is_replaceable(self._folder):
            raise ArtifactError(
                self._folder,
                "is not a bundle this suite wrote, so it will not be replaced",
                expected=f"a new or empty folder, or one with {MANIFEST_NAME}",
                hint="Choose another folder or move this one away.",
            )
        staging = self._folder.with_name(f".{self._folder.name}.staging-{secrets.token_hex(4)}")
        staging.mkdir()
        self._staging = staging

    def _keep_unrecorded(self, staging: Path) -> None:
        """Carry what the previous bundle holds beyond its own records into the new one."""
        if not (self._folder / MANIFEST_NAME).is_file():
            return
        recorded = {MANIFEST_NAME}
        try:
            recorded |= {record.path for record in Manifest.read(self._folder).files}
        except ArtifactError as error:
            _LOG.warning("previous manifest is unreadable, all files are kept: %s", error)
        for path in _files(self._folder):
            copy = staging / path.relative_to(self._folder)
            if path.relative_to(self._folder).as_posix() in recorded or copy.exists():
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy, follow_symlinks=False)


def _kept_engines(
    staging: Path, components: Sequence[ComponentSpec], files: Sequence[FileRecord]
) -> tuple[EngineRecord, ...]:
    """Engines of the previous bundle that fit the new ONNX files; the others are removed."""
    hashes = {record.path: record.sha256 for record in files}
    cache = EngineCache(staging)
    cache.sweep({spec.name: hashes[spec.onnx_file] for spec in components if spec.onnx_file in hashes})
    return tuple(record for record in cache.records() if not cache.damage(record))


def is_replaceable(folder: Path) -> bool:
    """Whether a bundle may go here: nothing is there, an empty folder or a bundle of this suite."""
    if not folder.is_dir():
        return not folder.exists()
    return (folder / MANIFEST_NAME).is_file() or not any(folder.iterdir())


def _files(folder: Path) -> Iterator[Path]:
    """Files below a folder, and links to folders as what they are."""
    for parent, folders, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)
        yield from (path for name in folders if (path := Path(parent, name)).is_symlink())


def recover_bundle(folder: Path) -> bool:
    """Bring back a bundle whose replacement was interrupted; whether there was one.

    Raises:
        ArtifactError: It is there but cannot be renamed.
    """
    target = folder.resolve()
    if not set_aside_path(target).is_dir():
        return False
    with io_errors(folder, "interrupted replacement cannot be undone"), folder_lock(target):
        return recover_folder(target) or target.is_dir()


def _escaped(name: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)
