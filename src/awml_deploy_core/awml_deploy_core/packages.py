"""What is installed, without importing it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, entry_points, version


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of the installed ones among the named distributions."""
    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def plugin_versions(group: str, name: str | None = None) -> dict[str, str]:
    """Versions of the distributions that provide plug-ins, by distribution.

    Args:
        group: Entry-point group.
        name: Of one plug-in; None is all of the group.
    """
    points = entry_points(group=group) if name is None else entry_points(group=group, name=name)
    return {point.dist.name: point.dist.version for point in points if point.dist is not None}
