"""A folder of snippets that never grows beyond its room. This module knows no ROS."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.files import fsync_tree, io_errors

SUMMARY = "snippet.json"
"""A folder with this file is a snippet; nothing else is ever removed."""
_PARTIAL = ".snippet-"
_MB = 1e6


class SnippetStore:
    """Puts snippets into a folder, each whole or not at all, and removes the oldest.

    Args:
        folder: Where they are; made if it is missing.
        max_total_mb: Room for all of them [MB].
        min_free_mb: What has to stay free on the disk [MB].

    Raises:
        ArtifactError: The folder cannot be made.
    """

    def __init__(self, folder: Path, max_total_mb: float, min_free_mb: float) -> None:
        self.folder = folder
        self._max_bytes = max_total_mb * _MB
        self._min_free = min_free_mb * _MB
        self.removed = 0
        with io_errors(folder, "snippet folder cannot be made"):
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.glob(f"{_PARTIAL}*"):
                shutil.rmtree(path, ignore_errors=True)
        self.total = sum(map(_size, self.snippets()))

    def snippets(self) -> list[Path]:
        """What is there, the oldest first: their names start with their time."""
        return sorted(path.parent for path in self.folder.glob(f"*/{SUMMARY}"))

    def write(self, name: str, size: int, fill: Callable[[Path], None]) -> Path:
        """Make room and write one snippet.

        Args:
            name: Of its folder, its time first.
            size: Bytes it will have, about.
            fill: Writes its files, :data:`SUMMARY` among them, into an empty folder.

        Raises:
            ArtifactError: There is no room for it, or it cannot be written; nothing of it is left.
        """
        self._make_room(size)
        partial, place = self.folder / f"{_PARTIAL}{name}", self.folder / name
        try:
            with io_errors(place, "snippet cannot be written"):
                partial.mkdir()
                fill(partial)
                fsync_tree(partial)
                partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self.total += _size(place)
        return place

    def _make_room(self, size: int) -> None:
        if size > self._max_bytes:
            raise ArtifactError(
                self.folder,
                "a snippet is larger than the room for all",
                got=f"{size / _MB:.0f} MB",
                expected=f"at most {self._max_bytes / _MB:.0f} MB",
                hint="Raise snippets.max_total_mb, or shorten the snippets.",
            )
        present = self.snippets()
        # Somebody else may have removed some.
        self.total = sum(map(_size, present))
        while present and (self.total + size > self._max_bytes or self._lacks(size)):
            oldest = present.pop(0)
            freed = _size(oldest)
            # First what makes it a snippet, so that half of one is never taken for one.
            with io_errors(oldest, "old snippet cannot be removed"):
                (oldest / SUMMARY).unlink()
            shutil.rmtree(oldest, ignore_errors=True)
            self.total -= freed
            self.removed += 1
        if self._lacks(size):
            free = shutil.disk_usage(self.folder).free
            raise ArtifactError(
                self.folder,
                "the disk is full",
                got=f"{free / _MB:.0f} MB free, {size / _MB:.0f} MB needed",
                expected=f"{self._min_free / _MB:.0f} MB left free",
                hint="Free space, or lower snippets.min_free_mb.",
            )

    def _lacks(self, size: int) -> bool:
        with io_errors(self.folder, "cannot be asked for its free space"):
            return shutil.disk_usage(self.folder).free - size < self._min_free


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        # Somebody else may remove it meanwhile.
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total
