"""Order of numbered files."""

from __future__ import annotations

import re
from pathlib import Path


def natural_order(path: Path) -> list[tuple[int, str]]:
    """Sort key that puts 9.bin before 10.bin."""
    parts = re.findall(r"(\d+)|(\D+)", path.name)
    return [(int(digits), "") if digits else (-1, text) for digits, text in parts]
