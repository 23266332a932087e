"""Files that a parameter names, installed by a package or not."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from awml_deploy_core.errors import ParameterError

_SCHEME = "package://"


def resolve(text: str) -> Path:
    """The file of a path, or of ``package://PACKAGE/PATH`` in the share folder of a package.

    Raises:
        ParameterError: The package is not installed.
    """
    if not text.startswith(_SCHEME):
        return Path(text).expanduser()
    package, _, path = text.removeprefix(_SCHEME).partition("/")
    try:
        return Path(get_package_share_directory(package), path)
    except (PackageNotFoundError, ValueError) as error:
        raise ParameterError(
            text, "names a package that is not installed", hint="Build it and source the workspace."
        ) from error
