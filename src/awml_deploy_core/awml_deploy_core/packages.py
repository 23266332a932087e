"""What is installed, without importing it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec

from awml_deploy_core.errors import MissingDependencyError


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of the installed ones among the named distributions."""
    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def require_package(name: str, purpose: str, least: str) -> None:
    """Check that an optional package is there before what it is needed for begins.

    Args:
        name: Of the package and of its distribution.
        purpose: For the error, e.g. ``to read a bag``.
        least: Its oldest version that will do, for the error only.

    Raises:
        MissingDependencyError: It is not installed.
    """
    if find_spec(name) is None:
        raise MissingDependencyError(
            name, "not installed", expected=f"{name} {purpose}", hint=f'pip install "{name}>={least}"'
        )


def plugin_versions(group: str, name: str | None = None) -> dict[str, str]:
    """Versions of the distributions that provide plug-ins, by distribution.

    Args:
        group: Entry-point group.
        name: Of one plug-in; None is all of the group.
    """
    points = entry_points(group=group) if name is None else entry_points(group=group, name=name)
    return {point.dist.name: point.dist.version for point in points if point.dist is not None}
