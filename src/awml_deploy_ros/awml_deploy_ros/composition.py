"""A node and the bag player in one process, served by one executor.

For tests and debuggers: what a node does with a bag, its threads, callbacks and publications included,
without a second process. The bag is played at its rate over the middleware, as always.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node

from awml_deploy_core.errors import BagError, ProcessError
from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.bag_player import BagPlayer, PlaybackOptions, PlaybackReport
from awml_deploy_ros.counters import CounterSnapshot
from awml_deploy_ros.node.model_node import ModelNode
from awml_deploy_ros.signals import StopFlag
from awml_deploy_ros.topics import POINT_CLOUD

_POLL_S = 0.05
_MATCH_S = 3.0
"""After which endpoints that have not found each other never do; Fast DDS now and then misses one of the
same process."""


@dataclass(frozen=True)
class ComposedRun:
    """What was sent, and what the node says became of it."""

    playback: PlaybackReport
    counters: CounterSnapshot
    """After the node was deactivated."""

    @property
    def accounted(self) -> int:
        """Clouds that were processed or dropped with a reason."""
        return self.counters.processed + sum(self.counters.dropped.values())

    @property
    def unexplained(self) -> int:
        """Clouds that were sent and of which the node says nothing."""
        return self.playback.frames - self.accounted


def play_into(
    node: ModelNode[Any],
    source: CloudTopic,
    options: PlaybackOptions,
    beside: Sequence[Node] = (),
    grace_s: float = 5.0,
) -> ComposedRun:
    """Configure and activate a node, play a bag into it, take it back once all clouds are accounted for.

    The calling thread serves the node, the player and ``beside`` with one executor. Afterwards the node is
    unconfigured again and in no executor, and the player is gone.

    Args:
        node: Unconfigured, in the default context.
        source: The clouds; transforms of the bag are played with them as ``options`` say.
        options: How they are played.
        beside: Nodes that are served too, e.g. one that subscribes to results; what came last may still be
            in its queue.
        grace_s: How long to wait for the fate of clouds that were sent [s].

    Raises:
        ProcessError: The node refuses to be configured or activated.
        BagError: The bag is damaged, or the node and the player do not find each other.
    """
    with ExitStack() as stack:
        executor = SingleThreadedExecutor()
        stack.callback(executor.shutdown)
        for other in (node, *beside):
            executor.add_node(other)
            stack.callback(executor.remove_node, other)
        _enter(node, "configured", node.trigger_configure)
        stack.callback(node.trigger_cleanup)
        _enter(node, "activated", node.trigger_activate)
        active = stack.enter_context(ExitStack())
        active.callback(node.trigger_deactivate)
        playback = _played(node, executor, source, options)
        _raise_fatal(node)
        deadline = time.monotonic() + grace_s
        while ComposedRun(playback, node.ledger.counters.snapshot()).unexplained > 0:
            if time.monotonic() > deadline:
                break
            executor.spin_once(timeout_sec=_POLL_S)
        active.close()
        _raise_fatal(node)
        return ComposedRun(playback, node.ledger.counters.snapshot())


def _enter(node: ModelNode[Any], state: str, transition: Callable[[], TransitionCallbackReturn]) -> None:
    if transition() != TransitionCallbackReturn.SUCCESS:
        _raise_fatal(node)
        raise ProcessError(node.get_name(), f"refuses to be {state}", hint="Its log says why.")


def _played(
    node: ModelNode[Any], executor: SingleThreadedExecutor, source: CloudTopic, options: PlaybackOptions
) -> PlaybackReport:
    player_node = Node("bag_player", start_parameter_services=False)
    stop = StopFlag()
    with ExitStack() as stack:
        stack.callback(player_node.destroy_node)
        executor.add_node(player_node)
        stack.callback(executor.remove_node, player_node)
        player = _matched(player_node, node, source, options)
        stack.callback(player.close)
        thread = stack.enter_context(ThreadPoolExecutor(1, "bag_player"))
        stack.callback(stop.set)
        playing = thread.submit(player.play, stop)
        while not playing.done() and not node.fatal.stop.is_set():
            executor.spin_once(timeout_sec=_POLL_S)
        stop.set()
        return playing.result()


def _matched(
    player_node: Node, node: ModelNode[Any], source: CloudTopic, options: PlaybackOptions
) -> BagPlayer:
    """A player that has found the node and was found by it."""
    topic = node.resolve_topic_name(POINT_CLOUD.name)
    inputs = [entry for entry in node.subscriptions if entry.topic_name == topic]
    deadline = time.monotonic() + options.wait_s
    while True:
        wait_s = min(_MATCH_S, options.wait_s)
        player = BagPlayer(player_node, source, topic, replace(options, wait_s=wait_s))
        try:
            player.wait_for_subscribers(StopFlag())
            if not all(entry.get_publisher_count() for entry in inputs):
                raise BagError(topic, "the node does not see the player")
        except BagError:
            player.close()
            if time.monotonic() >= deadline:
                raise
            continue
        return player


def _raise_fatal(node: ModelNode[Any]) -> None:
    """Raise the unexpected exception of a thread or callback of the node, if there was one."""
    if node.fatal.error is not None:
        raise node.fatal.error
