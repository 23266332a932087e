"""Other nodes of the same name: they take the same clouds and publish on the same topics."""

from __future__ import annotations

from rclpy.node import Node

from awml_deploy_ros.health import Health, Level

_PERIOD_NS = 1_000_000_000
"""Of the look at the graph, which in a vehicle has hundreds of nodes."""


class Namesakes:
    """Counts the other nodes that have a node's full name."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._counted_ns: int | None = None
        self._others = 0

    def judge(self, health: Health, now_ns: int) -> Health:
        """The health of the node, a WARN instead of OK if it has namesakes now (monotonic [ns])."""
        if self._counted_ns is None or now_ns - self._counted_ns >= _PERIOD_NS:
            own = (self._node.get_name(), self._node.get_namespace())
            self._others = self._node.get_node_names_and_namespaces().count(own) - 1
            self._counted_ns = now_ns
        if self._others < 1 or health.level > Level.OK:
            return health
        name = self._node.get_fully_qualified_name()
        return Health(Level.WARN, f"another node is named {name}: every frame is published twice")
