"""Reads commands and files out of the README and of pages in docs/, so that tests can run them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"(?:<!--\s*(?P<marker>[A-Za-z0-9 ]+?)\s*-->\s*\n)?```bash\n(?P<body>.*?)```", re.DOTALL
)
_FILE = re.compile(r"<!--\s*file:\s*(?P<name>\S+)\s*-->\s*\n```\w+\n(?P<body>.*?)```", re.DOTALL)


@dataclass(frozen=True)
class CommandBlock:
    """One fenced ``bash`` block and the marker of the HTML comment above it."""

    line: int
    marker: str
    commands: tuple[str, ...]


def command_blocks(readme: Path) -> list[CommandBlock]:
    """All ``bash`` blocks; backslash-continued lines are joined, comments dropped."""
    text = readme.read_text()
    blocks = []
    for match in _BLOCK.finditer(text):
        body = match["body"].replace("\\\n", " ")
        commands = tuple(
            re.sub(r"\s+#.*$", "", line).strip()
            for line in body.splitlines()
            if line.strip() and not line.strip().startswith("#")
        )
        line = text.count("\n", 0, match.start("body")) + 1
        blocks.append(CommandBlock(line, match["marker"] or "", commands))
    return blocks


def file_blocks(page: Path) -> dict[str, str]:
    """Fenced blocks under an HTML comment ``file: NAME``, by name."""
    return {match["name"]: match["body"] for match in _FILE.finditer(page.read_text())}
