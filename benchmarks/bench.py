"""Run the benchmarks and write one JSON.

Every benchmark is a module ``bench_<name>.py`` of this folder with a function ``run() -> dict``.
A benchmark whose packages are missing is reported as skipped with the reason.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import sys
from pathlib import Path
from typing import Any

import measure

FOLDER = Path(__file__).resolve().parent


def available() -> tuple[str, ...]:
    """Names of the benchmarks in this folder."""
    return tuple(sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py")))


def run(names: tuple[str, ...]) -> dict[str, Any]:
    """Results by name."""
    results: dict[str, Any] = {}
    for name in names:
        print(f"running {name}", file=sys.stderr, flush=True)
        try:
            module = importlib.import_module(f"bench_{name}")
        except ImportError as error:
            results[name] = {"skipped": str(error)}
            continue
        results[name] = module.run()
    return results


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"which to run (default: all of {', '.join(available())})")
    parser.add_argument("--output", type=Path, default=FOLDER / "results", help="folder of the JSON")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(available()))
    if unknown:
        parser.error(f"unknown benchmark {', '.join(unknown)}; available: {', '.join(available())}")
    now = datetime.datetime.now(datetime.timezone.utc)
    result = {
        "time": now.isoformat(timespec="seconds"),
        "machine": measure.machine(),
        "results": run(tuple(options.names) or available()),
    }
    path = options.output / f"bench_{now:%Y%m%dT%H%M%SZ}.json"
    measure.write_json(result, path)
    print(f"written to {path}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
