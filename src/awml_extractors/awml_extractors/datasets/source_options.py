"""Sources with options: ``PATH?name=value&name=value``."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from awml_deploy_core.errors import DatasetError


def split_source(source: str, known: Collection[str]) -> tuple[Path, dict[str, str]]:
    """Path and options of a source; a path that exists is taken as it is, whatever it contains.

    Raises:
        DatasetError: An option is unknown, empty or given twice.
    """
    with suppress(OSError):
        if Path(source).exists():
            return Path(source), {}
    path, separator, query = source.partition("?")
    options: dict[str, str] = {}
    for item in query.split("&") if separator else ():
        name, _, value = item.partition("=")
        if name not in known or not value or name in options:
            raise DatasetError(
                source,
                "unknown option",
                got=f"?{query}",
                expected="?" + "&".join(f"{option}=VALUE" for option in known),
            )
        options[name] = value
    return Path(path), options


def find_file(roots: Collection[Path], written: str, place: str, source: Path) -> Path:
    """The file that an entry names, relative to one of the folders, by its path or by its name alone.

    Args:
        roots: Folders to look in.
        written: The path in the file of entries.
        place: What names it, for the error.
        source: The file of entries, for the hint.

    Raises:
        DatasetError: It is in none of the folders.
    """
    plain = written.replace("\\", "/")
    tried = [root / name for root in roots for name in (plain, plain.rpartition("/")[2])]
    for path in tried:
        with suppress(OSError):
            if path.is_file():
                return path
    raise DatasetError(
        place,
        "no such file",
        got=written,
        expected="one of " + ", ".join(str(path) for path in dict.fromkeys(tried)),
        hint=f"Name the folder it is relative to: {source}?root=FOLDER.",
    )
