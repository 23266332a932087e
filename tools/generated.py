"""The command line of every tool that writes a document from the code."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path


def write_or_check(
    tool: str, render: Callable[[], str], target: Path, arguments: Sequence[str] | None = None
) -> int:
    """Write a document, or with ``--check`` only say whether it is current (exit code 1 if not).

    Args:
        tool: File name of the tool, for the message.
        render: Gives the document.
        target: Where it belongs.
        arguments: Those of the command line if None.
    """
    parser = argparse.ArgumentParser(description=f"Write {target.name} from the code.")
    parser.add_argument("--check", action="store_true", help="only say whether the file is current")
    parser.add_argument("--output", type=Path, default=target)
    options = parser.parse_args(arguments)
    text = render()
    if options.check:
        current = options.output.is_file() and options.output.read_text(encoding="utf-8") == text
        print(f"{options.output}: {'current' if current else f'out of date; run {tool}'}")
        return 0 if current else 1
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    return 0
