"""One row of the table: a fault, what became of the clouds, and whether that is what has to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from awml_deploy_ros.live.status import LiveCounters


@dataclass(frozen=True)
class Expected:
    """What a fault has to lead to, besides a node that lives and clouds that are accounted for."""

    does: str
    """In words, for the table."""
    at_least: Mapping[str, int] = field(default_factory=dict)
    """Clouds dropped, by reason."""
    without_past: Sequence[str] = ()
    """Reasons of which one has to be that of a frame without past sweeps."""
    processed: int = 0
    """At least so many frames."""
    only: Sequence[str] | None = None
    """Reasons for which clouds may be dropped; superseded and lost_in_transport always may."""


@dataclass(frozen=True)
class Observed:
    """What a fault led to."""

    sent: int
    """Clouds given to the middleware while the node listened."""
    before: LiveCounters
    after: LiveCounters
    without_past: Mapping[str, int]
    """Frames without past sweeps, by reason."""
    good_after: int | None
    """Good clouds until one was processed; None if none was."""
    alive: bool
    gone: int = 0
    """Clouds sent to a node that had been told to end, or was killed with them."""
    problems: Sequence[str] = ()
    """What the case itself found wrong."""
    facts: Sequence[str] = ()
    """What it found worth telling."""
    log: Sequence[str] = ()
    """Warnings and errors of the node."""


@dataclass(frozen=True)
class Row:
    """A fault of the table."""

    fault: str
    does: str
    sent: int
    processed: int
    dropped: Mapping[str, int]
    without_past: Mapping[str, int]
    unexplained: int
    alive: bool
    good_after: int | None
    problems: tuple[str, ...]
    facts: tuple[str, ...]
    log: tuple[str, ...]
    seconds: float = 0.0
    skipped: str = ""

    @property
    def passed(self) -> bool:
        return not self.problems and not self.skipped

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"verdict": "skipped" if self.skipped else _verdict(self.passed), **asdict(self)}


def _verdict(passed: bool) -> str:
    return "passed" if passed else "failed"


NODE_ENDED = "node_ended"
"""Reason of a cloud that was sent to a node that had been told to end, or was killed with it."""
_ALWAYS = ("superseded", "lost_in_transport")


def judged(fault: str, expected: Expected, seen: Observed) -> Row:
    """The row of a fault."""
    dropped = {
        reason: count - seen.before.dropped.get(reason, 0)
        for reason, count in seen.after.dropped.items()
        if count != seen.before.dropped.get(reason, 0)
    }
    processed = seen.after.processed - seen.before.processed
    if seen.gone:
        dropped[NODE_ENDED] = seen.gone
    unexplained = seen.sent - processed - sum(dropped.values())
    problems = list(seen.problems)
    if unexplained:
        problems.append(f"{unexplained} of {seen.sent} clouds without a reason")
    if not seen.alive:
        problems.append("the node has ended")
    if seen.good_after is None:
        problems.append("no good cloud was processed afterwards")
    if processed < expected.processed:
        problems.append(f"{processed} frames, expected {expected.processed} or more")
    for reason, count in expected.at_least.items():
        if dropped.get(reason, 0) < count:
            problems.append(f"{dropped.get(reason, 0)} {reason}, expected {count} or more")
    if expected.only is not None:
        allowed = {*_ALWAYS, *expected.only, *expected.at_least}
        problems += [
            f"{n} {reason}, not expected" for reason, n in dropped.items() if reason not in allowed
        ]
    if expected.without_past and not any(seen.without_past.get(name) for name in expected.without_past):
        problems.append(f"no frame without past sweeps for {' or '.join(expected.without_past)}")
    return Row(
        fault,
        expected.does,
        seen.sent,
        processed,
        dropped,
        dict(seen.without_past),
        unexplained,
        seen.alive,
        seen.good_after,
        tuple(problems),
        tuple(seen.facts),
        tuple(seen.log),
    )


def skipped(fault: str, reason: str) -> Row:
    """A row that says why a fault was not injected."""
    return Row(fault, "", 0, 0, {}, {}, 0, True, None, (), (), (), skipped=reason)
