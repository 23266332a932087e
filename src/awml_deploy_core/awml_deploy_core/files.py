"""Files that appear whole or not at all, and their hashes."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from awml_deploy_core.errors import ArtifactError

_CHUNK = 1 << 20


@contextmanager
def io_errors(subject: object, problem: str) -> Iterator[None]:
    """Turn an OSError of the enclosed block into an ArtifactError about ``subject``."""
    try:
        yield
    except OSError as error:
        raise ArtifactError(subject, problem, got=error.strerror or str(error)) from error


def folder_lock(folder: Path) -> FileLock:
    """The lock of whoever writes a folder, on a file beside it; the kernel frees it if its holder dies."""
    return FileLock(folder.with_name(f".{folder.name}.lock"))


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that becomes ``path`` when the block ends without an error.

    The content is on disk before the name points to it, so a reader, or a machine that loses
    power, sees the old file or the whole new one.

    Raises:
        ArtifactError: The file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with io_errors(path, "cannot be written"):
        try:
            with temporary.open("xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
            fsync_path(path.parent)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file atomically.

    Raises:
        ArtifactError: The file cannot be written.
    """
    with atomic_write(path) as stream:
        stream.write(content)


def write_text(path: Path, content: str) -> None:
    """Write a whole UTF-8 file atomically.

    Raises:
        ArtifactError: The file cannot be written.
    """
    write_bytes(path, content.encode())


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content.

    Raises:
        ArtifactError: The file cannot be read.
    """
    digest = hashlib.sha256()
    with io_errors(path, "cannot be read"), path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def fsync_path(path: Path) -> None:
    """Flush one file or directory entry to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(folder: Path) -> None:
    """Flush every regular file and directory below ``folder`` and ``folder`` itself to disk."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                fsync_path(path)
        fsync_path(Path(parent))
