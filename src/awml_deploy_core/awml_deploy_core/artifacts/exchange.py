"""Puts a folder in the place of another in one step."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from pathlib import Path

from awml_deploy_core.files import fsync_path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}


def replace_folder(source: Path, target: Path) -> None:
    """Rename ``source`` to ``target``; what was there before is deleted afterwards.

    What of it cannot be deleted stays under the name of ``source`` or beside it; the new folder
    is in its place all the same.

    Where the kernel or the file system cannot exchange two names, the old folder is set aside
    first. A crash in between leaves it under :func:`set_aside_path`, from where
    :func:`recover_folder` brings it back.

    Raises:
        OSError: The folders cannot be renamed; the old one is still in its place.
    """
    if not target.exists():
        os.rename(source, target)
        fsync_path(target.parent)
        return
    if _exchange(source, target):
        fsync_path(target.parent)
        shutil.rmtree(source, ignore_errors=True)
        return
    aside = set_aside_path(target)
    os.rename(target, aside)
    try:
        os.rename(source, target)
    except OSError:
        os.rename(aside, target)
        raise
    fsync_path(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def set_aside_path(target: Path) -> Path:
    """Where the old folder waits while the new one takes its place."""
    return target.with_name(f".{target.name}.previous")


def recover_folder(target: Path) -> bool:
    """Undo a replacement that a crash interrupted between its two renames.

    Returns:
        Whether the old folder was brought back. One that is no longer needed is deleted.

    Raises:
        OSError: The folder cannot be renamed or deleted.
    """
    aside = set_aside_path(target)
    if not aside.is_dir():
        return False
    if target.exists():
        shutil.rmtree(aside)
        return False
    os.rename(aside, target)
    fsync_path(target.parent)
    return True


def _exchange(a: Path, b: Path) -> bool:
    """Exchange two names atomically; False where this system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(a), None, str(b))
