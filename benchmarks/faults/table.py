"""The page with the table of faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from faults.rows import Row

_HEAD = """# Faults and what the node does about them

Written by `python benchmarks/fault_injection.py --table docs/faults.md`. The node with the demo model runs
in a process of its own, clouds of 2 MB come over DDS at {rate_hz:g} Hz, and {busy} other programs want the
processor all the time. Every fault is injected while the node runs. A row fails if the node ends, if a
cloud is neither processed nor dropped with a reason, if the next good cloud is not processed, or if the
node does not do what the second column says. `test/test_faults.py` injects all but a full disk.

"""
_COLUMNS = (
    "fault",
    "what the node does",
    "clouds in",
    "processed",
    "dropped",
    "without past sweeps",
    "verdict",
)


def page(rows: Sequence[Row], result: Mapping[str, Any]) -> str:
    """Markdown."""
    lines = [_line(_COLUMNS), _line(["---"] * len(_COLUMNS)), *(_line(_cells(row)) for row in rows)]
    injected = [row for row in rows if not row.skipped]
    total, unexplained = sum(r.sent for r in injected), sum(abs(r.unexplained) for r in injected)
    summary = f"{len(injected)} faults, {total} clouds, {unexplained} without a reason."
    load = result["machine"]["load_average"][0]
    counts = (
        f"Counts depend on the machine and its load (load average {load:g} at the start); verdicts do not."
    )
    return _HEAD.format(**result) + "\n".join(lines) + f"\n\n{summary} {counts}\n"


def _cells(row: Row) -> Sequence[str]:
    if row.skipped:
        return (row.fault, f"not injected: {row.skipped}", "", "", "", "", "skipped")
    return (
        row.fault,
        row.does,
        str(row.sent),
        str(row.processed),
        _counts(row.dropped),
        _counts(row.without_past),
        "passed" if row.passed else "**failed**: " + "; ".join(row.problems),
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
