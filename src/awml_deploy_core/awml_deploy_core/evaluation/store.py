"""Results of finished frames on disk, so that work that was stopped goes on where it was.

One file of JSON lines for everything that decides a result: bundle, backend, device, options, data,
versions. Its name is the hash of these, its first line says them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout
from typing_extensions import Self

from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.files import io_errors

KEY, FRAME, RESULT = "key", "frame", "result"


class FrameStore:
    """Results by frame, each on disk when :meth:`append` returns.

    Use as a context manager. A line that was cut off by a crash is dropped, as if its frame had never
    run.

    Args:
        folder: Made if need be.
        key: What the results are of, JSON-ready.
        restart: Whether to forget what is there.

    Raises:
        ArtifactError: The file cannot be read or written, or another process is at work on it.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any], *, restart: bool = False) -> None:
        text = json.dumps(key, sort_keys=True)
        self.path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.jsonl"
        self._results: dict[str, dict[str, Any]] = {}
        self._stream: IO[bytes] | None = None
        with io_errors(folder, "cannot be made"):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.path.with_suffix(".lock"))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ArtifactError(
                self.path, "another process is evaluating the same", hint="Wait for it, or end it."
            ) from None
        try:
            with io_errors(self.path, "cannot be written"):
                if restart:
                    self.path.unlink(missing_ok=True)
                self._open(text)
        except BaseException:
            self._lock.release()
            raise

    def __len__(self) -> int:
        return len(self._results)

    def get(self, key: str) -> dict[str, Any] | None:
        """The result of a frame, if it is finished."""
        return self._results.get(key)

    def append(self, key: str, result: Mapping[str, Any]) -> None:
        """Keep a result; a later one of the same frame replaces it.

        Raises:
            ArtifactError: It cannot be written.
        """
        line = json.dumps({FRAME: key, RESULT: result}, allow_nan=False)
        with io_errors(self.path, "cannot be written"):
            self._write(line)
        self._results[key] = dict(result)

    def close(self) -> None:
        """Release the file. Calling it twice is allowed."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, key: str) -> None:
        """Read what is there up to the first damaged line, which ends the file from now on."""
        end = 0
        content = self.path.read_bytes() if self.path.exists() else b""
        for line in content.splitlines(keepends=True):
            entry = _parsed(line)
            if entry is None or (end == 0 and KEY not in entry):
                break
            if FRAME in entry:
                self._results[entry[FRAME]] = entry[RESULT]
            end += len(line)
        self._stream = self.path.open("r+b" if content else "w+b", buffering=0)
        self._stream.truncate(end)
        self._stream.seek(end)
        if not end:
            self._write(f'{{"{KEY}": {key}}}')

    def _write(self, line: str) -> None:
        """One line, on disk before this returns."""
        assert self._stream is not None, "the store is closed"
        self._stream.write(line.encode() + b"\n")
        os.fsync(self._stream.fileno())


def _parsed(line: bytes) -> dict[str, Any] | None:
    """An entry, or None for a line that is not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(entry, dict) and (KEY in entry or (FRAME in entry and RESULT in entry))
    return entry if whole else None
