"""The work of a frame as steps, of which neighbours that can be captured are one graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise

from awml_deploy_core.runtime.cuda.context import CudaContext
from awml_deploy_core.runtime.cuda.graph import CudaGraph, capture


@dataclass(frozen=True, eq=False)
class Step:
    """One piece of work, put on a stream by a call."""

    stage: str
    """The stage whose time it counts for; steps of one stage follow each other."""
    enqueue: Callable[[int], None]
    capturable: bool = True
    eager: Callable[[int], None] | None = None
    """What runs in its place outside of a graph, where that differs."""


class Program:
    """Steps that run one after another on one stream, every frame alike.

    Capturable steps are captured in as few graphs as possible; others are called between them. Events
    mark where stages end; inside a graph they are nodes of it.

    Args:
        context: Where it runs.
        steps: In order.
        timed: Whether events are recorded; without them :meth:`latencies` has nothing to say.
    """

    def __init__(self, context: CudaContext, steps: Sequence[Step], *, timed: bool = True) -> None:
        self._context = context
        self._stream = context.stream
        self._steps = tuple(steps)
        self.stages = tuple(dict.fromkeys(step.stage for step in steps))
        self._timed = timed
        self._events = [context.create_event() for _ in range(len(self.stages) + 1)] if timed else []
        self._parts: list[Callable[[int], None]] = []
        self._graphs: list[CudaGraph] = []

    @property
    def graph_count(self) -> int:
        """Graphs that a frame launches; 0 before :meth:`capture`."""
        return len(self._graphs)

    @property
    def is_captured(self) -> bool:
        return bool(self._parts)

    def run_eagerly(self) -> None:
        """Put a frame on the stream without graphs: backends choose their algorithms at the first run."""
        for step, event in self._ends():
            (step.eager or step.enqueue)(self._stream)
            if event is not None:
                self._context.record(event, self._stream)

    def capture(self) -> None:
        """Capture the graphs; after this :meth:`run` only launches them.

        Raises:
            InferenceError: A step that says so cannot be captured.
        """
        self.close()
        for capturable, group in groupby(self._ends(), lambda item: item[0].capturable):
            part = list(group)
            if capturable:
                graph = capture(self._context, self._stream, partial(self._enqueue, part, True))
                self._graphs.append(graph)
                self._parts.append(graph.launch)
            else:
                self._parts.append(partial(self._enqueue, part, False))

    def start(self) -> None:
        """Mark where the first stage starts."""
        if self._timed:
            self._context.record(self._events[0], self._stream)

    def run(self) -> None:
        """Put a frame on the stream; the host waits only where a step that is not captured does."""
        for part in self._parts:
            part(self._stream)

    def latencies(self) -> list[tuple[str, float]]:
        """Milliseconds by stage of the last frame, once the stream has been waited for."""
        return [
            (stage, self._context.elapsed_ms(*events))
            for stage, events in zip(self.stages, pairwise(self._events), strict=bool(self._events))
        ]

    def close(self) -> None:
        """Release the graphs. Calling it twice is allowed."""
        for graph in self._graphs:
            graph.close()
        self._graphs, self._parts = [], []

    def _ends(self) -> list[tuple[Step, int | None]]:
        """Every step with the event that follows it, if it is the last of its stage."""
        followers = [step.stage for step in self._steps[1:]] + [None]
        return [
            (step, self._events[self.stages.index(step.stage) + 1])
            if self._timed and step.stage != follower
            else (step, None)
            for step, follower in zip(self._steps, followers, strict=True)
        ]

    def _enqueue(self, part: Sequence[tuple[Step, int | None]], captured: bool, stream: int) -> None:
        for step, event in part:
            step.enqueue(stream)
            if event is not None:
                self._context.record(event, stream, captured=captured)
