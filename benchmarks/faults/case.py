"""A case: a fault to inject, and running one to a row."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_ros.live.status import LiveCounters
from faults.rig import Mark, Rig
from faults.rows import Expected, Observed, Row, judged, skipped


@dataclass(frozen=True)
class World:
    """What a case may use."""

    rig: Rig
    cloud: Any
    """A good sensor_msgs/PointCloud2."""
    bag: Path
    """Clouds and transforms, for a player in a process of its own."""
    snippets: Path
    """Where the node writes snippets."""
    folder: Path
    """For what is left behind."""


@dataclass(frozen=True)
class Outcome:
    """What a case has to say besides what is counted."""

    expected: Expected
    problems: Sequence[str] = ()
    facts: Sequence[str] = ()
    sent_by_others: int = 0
    """Clouds published by another process."""
    ended: LiveCounters | None = None
    """What a node that ended had counted; another one has been started since."""
    gone: int = 0
    """Clouds sent to a node that had been told to end, or was killed with them."""
    sent: int | None = None
    """Clouds of this fault, where the node that counts them has been started anew."""
    log: Sequence[str] = ()
    """Of a node that ended."""


@dataclass(frozen=True)
class Case:
    """One fault."""

    fault: str
    inject: Callable[[World], Outcome]
    impossible: Callable[[World], str] = field(default=lambda _: "")
    """Why it cannot be injected here; empty if it can."""


def run(case: Case, world: World) -> Row:
    """Inject a fault into a node that has just processed a good cloud, and judge what happened."""
    if reason := case.impossible(world):
        return skipped(case.fault, reason)
    rig = world.rig
    mark = rig.mark()
    start = time.monotonic()
    try:
        outcome = case.inject(world)
    except AwmlDeployError as error:
        outcome = Outcome(Expected(""), problems=[f"{type(error).__name__}: {error}"])
    good_after = rig.settle() if rig.alive else None
    row = judged(case.fault, outcome.expected, _observed(rig, mark, outcome, good_after))
    return replace(row, seconds=round(time.monotonic() - start, 1))


def _observed(rig: Rig, mark: Mark, outcome: Outcome, good_after: int | None) -> Observed:
    if outcome.ended is not None and outcome.sent is not None:
        sent, after = outcome.sent, outcome.ended
    else:
        sent, after = rig.peer.sent - mark.sent + outcome.sent_by_others, rig.peer.counters()
    return Observed(
        sent,
        mark.counters,
        after,
        rig.without_past(mark),
        good_after,
        rig.alive,
        outcome.gone,
        outcome.problems,
        outcome.facts,
        outcome.log or rig.troubles(mark.log_bytes),
    )
