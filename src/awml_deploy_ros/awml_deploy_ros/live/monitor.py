"""Watches a running node from outside, in a process of its own: is it ready, what has it counted?

The process that judges a run has no DDS of its own: neither a node that is killed nor the middleware
can take the verdict with it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from awml_deploy_msgs.msg import DetectionFrame
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from awml_deploy_ros.live.status import LiveCounters, LiveStatus, configure_problem, listeners_of
from awml_deploy_ros.outputs.base import every_frame
from awml_deploy_ros.process import FatalErrors, run_node
from awml_deploy_ros.topics import DIAGNOSTICS, FRAME

_PERIOD_S = 0.1


class NodeMonitor(Node):  # type: ignore[misc]
    """Writes a :class:`LiveStatus` ten times a second.

    Args:
        node_name: Full name of the node that is watched.
        input_topic: Topic of its point clouds.
        status: File of the status.
        recorders: How many others listen to the node's record once everything is ready.
        node_options: Passed to rclpy's Node.
    """

    def __init__(
        self, node_name: str, input_topic: str, status: Path, recorders: int = 1, **node_options: Any
    ) -> None:
        super().__init__("live_monitor", **node_options)
        self._watched = node_name
        self._input_topic = input_topic
        self._status = status
        self._recorders = recorders
        self._frame_topic = FRAME.of(node_name)
        self._counters = LiveCounters()
        self._listeners = 0
        self._problem = ""
        self.create_subscription(DetectionFrame, self._frame_topic, self._on_frame, every_frame())
        self.create_subscription(DiagnosticArray, DIAGNOSTICS.name, self._on_diagnostics, 10)

    def start(self) -> None:
        self.create_timer(_PERIOD_S, self._write)

    def close(self) -> None:
        """Write the last status."""
        self._write()

    def _write(self) -> None:
        ready = (
            self.count_subscribers(self._input_topic) > 0
            and self.count_publishers(self._frame_topic) > 0
            # What this node sees of others says nothing about whom the watched one has found.
            and self._listeners > self._recorders
        )
        LiveStatus(ready, self._counters, self._problem).write(self._status)

    def _on_frame(self, message: Any) -> None:
        self._update(LiveCounters.of_frame(message))

    def _on_diagnostics(self, message: Any) -> None:
        self._problem = self._problem or configure_problem(message, self._watched)
        self._listeners = listeners_of(message, self._watched, self._listeners)
        found = LiveCounters.of_diagnostics(message, self._watched)
        if found is not None:
            self._update(found)

    def _update(self, counters: LiveCounters) -> None:
        if counters.accounted >= self._counters.accounted:
            self._counters = counters


def main(args: Sequence[str] | None = None) -> int:
    """Watch until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="monitor", description=__doc__)
    parser.add_argument("status", type=Path, help="file of the status")
    parser.add_argument("--node", required=True, help="full name of the watched node")
    parser.add_argument("--input", required=True, help="topic of its point clouds")

    def create(fatal: FatalErrors, chosen: argparse.Namespace) -> NodeMonitor:
        return NodeMonitor(chosen.node, chosen.input, chosen.status)

    return run_node(parser, create, args)


if __name__ == "__main__":
    sys.exit(main())
