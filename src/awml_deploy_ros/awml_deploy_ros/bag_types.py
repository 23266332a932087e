"""Messages of installed packages: their classes, and their definitions for rosbags."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from awml_deploy_core.errors import MissingDependencyError
from awml_deploy_core.packages import require_package

_PACKAGE_REFERENCE = re.compile(r"^([a-z]\w*)/\w+", re.MULTILINE)


def message_class(kind: str) -> Any:
    """The Python class of a message type such as ``sensor_msgs/msg/PointCloud2``.

    Raises:
        MissingDependencyError: Its package is not installed or has no such message.
    """
    package, _, name = kind.partition("/msg/")
    if not package or find_spec(package) is None:
        raise MissingDependencyError(kind, "message package is not installed")
    found = getattr(import_module(f"{package}.msg"), name, None)
    if found is None:
        raise MissingDependencyError(kind, f"package {package} has no such message")
    return found


def require_rosbags() -> None:
    """Raise a MissingDependencyError if rosbags is not installed: rosdep does not know it."""
    require_package("rosbags", "to read or write a bag", "0.11")


def typestore_for(*packages: str) -> Any:
    """A rosbags typestore that knows the standard messages and those of installed packages.

    Raises:
        MissingDependencyError: A package, or one its messages use, is not installed.
    """
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    for package in packages:
        _register(store, package, set())
    return store


def _register(store: Any, package: str, seen: set[str]) -> None:
    if package in seen or any(name.startswith(f"{package}/") for name in store.fielddefs):
        return
    seen.add(package)
    from rosbags.typesys import get_types_from_msg

    types: dict[str, Any] = {}
    for path in _definitions(package):
        text = path.read_text(encoding="utf-8")
        types.update(get_types_from_msg(text, f"{package}/msg/{path.stem}"))
        for needed in _PACKAGE_REFERENCE.findall(text):
            _register(store, needed, seen)
    store.register(types)


def _definitions(package: str) -> list[Path]:
    try:
        share = get_package_share_directory(package)
    except PackageNotFoundError:
        raise MissingDependencyError(
            package, "message package is not installed", hint="Build and source the workspace."
        ) from None
    return sorted(Path(share, "msg").glob("*.msg"))
