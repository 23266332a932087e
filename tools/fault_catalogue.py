"""Writes docs/fault_catalogue.md, what verification says of planted defects, in some six minutes of a core.

With ``--check`` it writes nothing and exits with 1 if the file is not current.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from itertools import tee
from pathlib import Path

from generated import write_or_check

from awml_deploy_lab.faults.catalogue import problems_of, render, running

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "models" / "centerpoint_demo"
TARGET = ROOT / "docs" / "fault_catalogue.md"


def page() -> str:
    """The page, if there is nothing that must not be on it."""
    with tempfile.TemporaryDirectory() as name, running(MODEL, Path(name)) as (found, outcomes):
        rows, told = tee(found)
        tell = partial(print, file=sys.stderr, flush=True)
        if problems := problems_of(told, outcomes, tell):
            sys.exit("\n".join(problems))
        return render(list(rows))


if __name__ == "__main__":
    sys.exit(write_or_check(Path(__file__).name, page, TARGET))
