"""Runs a node of a model as a process."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import Any

from awml_deploy_ros.node.executors import ExecutorWithout, group_served
from awml_deploy_ros.node.model_node import ModelNode
from awml_deploy_ros.process import FatalErrors, run, spin
from awml_deploy_ros.shared_memory import remove_orphans


def run_model_node(
    parser: ArgumentParser,
    create: Callable[[FatalErrors], ModelNode[Any]],
    args: Sequence[str] | None = None,
) -> int:
    """Create a node and spin it until a signal or an error; see :func:`awml_deploy_ros.process.run`."""

    def body(fatal: FatalErrors, _: Namespace) -> None:
        node = create(fatal)
        if (cleaned := remove_orphans()).segments:
            node.get_logger().info(
                f"removed {cleaned.bytes / 1e6:.0f} MB of shared memory that killed processes had left"
            )
        beside = group_served(node, node.slow_group, node.stop_waiting, fatal)
        spin(node, fatal, ExecutorWithout(node.slow_group), beside)

    return run(parser, body, args)
