"""What is installed, told without importing it, and its plug-ins."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec
from typing import Any

from awml_deploy_core.errors import AwmlDeployError, ConfigError, MissingDependencyError


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


def plugin_names(group: str) -> tuple[str, ...]:
    """Names of the installed plug-ins of an entry-point group."""
    return tuple(sorted({point.name for point in entry_points(group=group)}))


def load_plugin(group: str, name: str, kind: str, setting: str, unloadable: type[AwmlDeployError]) -> Any:
    """Make a plug-in by its entry-point name.

    Args:
        group: Entry-point group.
        name: Of the plug-in.
        kind: What it is, for errors, e.g. ``backend``.
        setting: What names it in a configuration, for errors.
        unloadable: Raised if it is installed and cannot be imported.

    Raises:
        ConfigError: No installed package provides it.
    """
    for point in entry_points(group=group):
        if point.name != name:
            continue
        try:
            return point.load()()
        except (ImportError, AttributeError) as error:
            raise unloadable(
                f"{kind} {name}",
                "its plugin cannot be loaded",
                got=error,
                hint=f"Reinstall the package that provides {point.value}.",
            ) from error
    raise ConfigError(
        setting,
        f"unknown {kind}",
        got=repr(name),
        expected=" or ".join(plugin_names(group)) or f"an installed {kind}",
        hint=f"Install the package that provides it (entry-point group {group}).",
    )


def plugin_versions(group: str, name: str | None = None) -> dict[str, str]:
    """Versions of the distributions that provide plug-ins, by distribution.

    Args:
        group: Entry-point group.
        name: Of one plug-in; None is all of the group.
    """
    points = entry_points(group=group) if name is None else entry_points(group=group, name=name)
    return {point.dist.name: point.dist.version for point in points if point.dist is not None}
