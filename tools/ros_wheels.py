#!/usr/bin/env python3
"""Make the ROS message wheels' exported CMake targets usable by this interpreter.

The wheels were built in a container whose interpreter lived under ``/opt/python``; that path is
written into the include directories of their exported targets, so an interface package cannot be
built against them elsewhere. Run this once after installing the wheels; running it again changes
nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import sysconfig
import tempfile
from pathlib import Path

PYTHON_INCLUDE = re.compile(r"/opt/python/[^/;\"]+/include/python[0-9.]+")
NUMPY_INCLUDE = re.compile(r"/opt/python/[^/;\"]+/lib/python[0-9.]+/site-packages/numpy/_?core/include")


def exported_targets(prefix: Path) -> list[Path]:
    """The wheels' exported CMake files below an installation prefix."""
    return sorted(prefix.glob("share/*/cmake/*Export*.cmake"))


def repaired(text: str, python_include: str, numpy_include: str) -> str:
    """``text`` with the build container's include directories replaced."""
    text = PYTHON_INCLUDE.sub(lambda _: python_include, text)
    return NUMPY_INCLUDE.sub(lambda _: numpy_include, text)


def repair(prefix: Path, python_include: str, numpy_include: str) -> int:
    """Rewrite every exported CMake file that needs it; return how many did."""
    changed = 0
    for path in exported_targets(prefix):
        before = path.read_text(encoding="utf-8")
        after = repaired(before, python_include, numpy_include)
        if after != before:
            _replace(path, after)
            changed += 1
    return changed


def _replace(path: Path, text: str) -> None:
    mode = path.stat().st_mode & 0o777
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        file.write(text)
    os.chmod(file.name, mode)
    os.replace(file.name, path)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--prefix",
        type=Path,
        default=Path(sys.prefix),
        help="where the wheels are installed (default: this interpreter's environment)",
    )
    arguments = parser.parse_args(argv)
    if not (arguments.prefix / "share" / "rosidl_cmake").is_dir():
        print(
            f"{arguments.prefix}: no ROS wheels here. Install requirements/ros.txt first.", file=sys.stderr
        )
        return 1
    import numpy

    python_include = sysconfig.get_paths()["include"]
    if not Path(python_include, "Python.h").is_file():
        print(
            f"{python_include}: Python.h is missing. Install this interpreter's headers "
            "(python3-dev on Debian and Ubuntu).",
            file=sys.stderr,
        )
        return 1
    changed = repair(arguments.prefix, python_include, numpy.get_include())
    print(f"ROS wheels: {changed} CMake files rewritten, {len(exported_targets(arguments.prefix))} checked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
