"""Fail if any colcon package ran no test: an empty run must not look like a pass."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def executed_tests(build_folder: Path) -> int:
    """Tests that ran (not skipped) according to the JUnit files below a package's build folder."""
    executed = 0
    for path in build_folder.rglob("*.xml"):
        root = ElementTree.parse(path).getroot()
        for suite in root.iter("testsuite"):
            executed += int(suite.get("tests", 0)) - int(suite.get("skipped", 0))
    return executed


def main(build: str) -> int:
    packages = sorted(path.parent.name for path in Path("src").glob("*/package.xml"))
    counts = {package: executed_tests(Path(build) / package) for package in packages}
    for package, count in counts.items():
        print(f"{package}: {count} tests ran")
    empty = [package for package, count in counts.items() if count == 0]
    if empty or not packages:
        print(f"no test ran in: {', '.join(empty) or 'any package'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
