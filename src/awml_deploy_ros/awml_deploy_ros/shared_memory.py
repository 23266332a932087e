"""Shared memory that killed processes left behind: ``python -m awml_deploy_ros clean_shared_memory``.

Fast DDS keeps messages in segments in /dev/shm, 134 MB a participant with the profile of this package. A
process that is killed cannot remove its own. Beside each lies a file that its owner holds locked as long as
it lives, so that a segment whose lock is free has no owner; that is how ``fastdds shm clean`` finds them.
Only segments of this user are touched. Ports, which are small and shared, are left.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from awml_deploy_core.exit_codes import ExitCode

FOLDER = Path("/dev/shm")
_SEGMENT = re.compile(r"^(fastdds|fastrtps)_[0-9a-f]{16}$")
_LOCK = "_el"
_YOUNG_S = 10.0
"""A lock this young may belong to a process that has made the file and not locked it yet."""


@dataclass(frozen=True)
class Cleaned:
    """What was removed."""

    segments: int = 0
    bytes: int = 0


def remove_orphans(folder: Path = FOLDER, young_s: float = _YOUNG_S) -> Cleaned:
    """Remove this user's segments whose owners are dead.

    Args:
        folder: Where they are.
        young_s: Segments younger than this [s] are left.
    """
    segments = removed = 0
    for path in sorted(folder.glob("fast*")) if folder.is_dir() else ():
        lock = path.with_name(path.name + _LOCK)
        # Another process may clean at the same time.
        with suppress(FileNotFoundError):
            if _SEGMENT.match(path.name) and _is_old(lock, young_s) and (size := _remove(path, lock)) >= 0:
                segments += 1
                removed += size
    return Cleaned(segments, removed)


def _is_old(lock: Path, young_s: float) -> bool:
    found = lock.stat()
    return found.st_uid == os.getuid() and time.time() - found.st_ctime > young_s


def _remove(path: Path, lock: Path) -> int:
    """Bytes of a segment that was removed, -1 if it has an owner."""
    descriptor = os.open(lock, os.O_RDWR)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return -1
        found = path.stat()
        if found.st_uid != os.getuid():
            return -1
        path.unlink()
        lock.unlink()
        return found.st_size
    finally:
        os.close(descriptor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Clean up and say what was removed."""
    parser = argparse.ArgumentParser(prog="clean_shared_memory", description=__doc__)
    parser.parse_args(arguments)
    cleaned = remove_orphans()
    print(f"removed {cleaned.segments} segments of dead processes, {cleaned.bytes / 1e6:.0f} MB")
    return ExitCode.PASSED


if __name__ == "__main__":
    sys.exit(main())
