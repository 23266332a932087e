"""What a message costs: clouds in, every output out, at clouds of 2 MB and 6 MB.

Steps of a message are timed in turn in one run: building it, serialising, publishing to a subscriber in
another process, deserialising there, and for clouds the columns. Wall times belong to this machine and its
load; the ratios to the publication of the 2 MB cloud in the same run do less so.

    python benchmarks/message_costs.py --json FILE.json --table docs/message_costs.md
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import measure
import numpy as np
from message_kinds import Kind, cloud, diagnostics, outputs

from awml_deploy_core.files import write_text
from awml_deploy_core.pointcloud2 import columns_of
from awml_deploy_ros.bag_types import message_class
from awml_deploy_ros.domains import reserve_domain_id
from awml_deploy_ros.transport import large_cloud_environment

CLOUD_MB = (2, 6)
BOXES = (50, 200)
ROUNDS = 30
STEPS = ("build", "serialise", "publish", "transport", "deserialise", "columns")
_REFERENCE = "PointCloud2, 2 MB"
_TIMEOUT_S = 10.0
_MATCH_S = 30.0


def serve(pipe: Connection, types: Mapping[str, str]) -> None:
    """Subscribe in a process of its own and tell what each message cost to get and to read."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from rclpy.serialization import deserialize_message

    rclpy.init(args=[])
    node = rclpy.create_node("costs_subscriber")

    def heard(kind: str, data: bytes, info: Mapping[str, Any]) -> None:
        arrived = time.time_ns()
        start = time.perf_counter_ns()
        message = deserialize_message(data, message_class(kind))
        read = time.perf_counter_ns()
        columns = 0
        if kind.endswith("PointCloud2"):
            columns_of(message)
            columns = time.perf_counter_ns() - read
        pipe.send((arrived - info["source_timestamp"], read - start, columns))

    for topic, kind in types.items():
        node.create_subscription(
            message_class(kind),
            topic,
            lambda data, info, kind=kind: heard(kind, data, info),
            qos_profile_sensor_data,
            raw=True,
        )
    try:
        while not pipe.poll():
            rclpy.spin_once(node, timeout_sec=0.05)
    except (EOFError, BrokenPipeError):
        pass
    rclpy.try_shutdown()


def run(rounds: int = ROUNDS) -> dict[str, Any]:
    """Time every step of every message, the messages in turn."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(reserve_domain_id()))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.update(large_cloud_environment())
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from rclpy.serialization import serialize_message

    loaded = measure.under_load()
    clouds = {f"PointCloud2, {size} MB": cloud(size) for size in CLOUD_MB}
    kinds = {
        name: Kind("sensor_msgs/msg/PointCloud2", lambda message=message: message, is_cloud=True)
        for name, message in clouds.items()
    }
    for count in BOXES:
        kinds |= outputs(count)
    kinds["DiagnosticArray"] = diagnostics()
    topics = {name: f"/cost_{index}" for index, name in enumerate(kinds)}
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, {topics[name]: kind.type for name, kind in kinds.items()})
    )
    server.start()
    times: dict[str, dict[str, list[float]]] = {name: {step: [] for step in STEPS} for name in kinds}
    sizes: dict[str, int] = {}
    lost = 0
    rclpy.init(args=[])
    try:
        node = rclpy.create_node("costs_publisher")
        publishers = {
            name: node.create_publisher(message_class(kind.type), topics[name], qos_profile_sensor_data)
            for name, kind in kinds.items()
        }
        deadline = time.monotonic() + _MATCH_S
        while any(not p.get_subscription_count() for p in publishers.values()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the subscriber is not there after {_MATCH_S:g} s")
            time.sleep(0.05)
        for index in range(rounds + 2):
            for name, kind in kinds.items():
                start = time.perf_counter_ns()
                message = kind.build()
                built = time.perf_counter_ns()
                data = bytes(serialize_message(message))
                serialised = time.perf_counter_ns()
                publishers[name].publish(data)
                published = time.perf_counter_ns()
                if not ours.poll(_TIMEOUT_S):
                    lost += 1
                    continue
                transport, read, columns = ours.recv()
                if index < 2:
                    continue
                sizes[name] = len(data)
                steps = (
                    *(built - start, serialised - built, published - serialised),
                    *(transport, read, columns),
                )
                for step, nanoseconds in zip(STEPS, steps, strict=True):
                    times[name][step].append(nanoseconds * 1e-6)
    finally:
        ours.send(None)
        server.join(_TIMEOUT_S)
        rclpy.try_shutdown()
    return {"under_load": loaded, **_result(kinds, times, sizes, lost, rounds)}


def _result(
    kinds: Mapping[str, Kind],
    times: Mapping[str, Mapping[str, list[float]]],
    sizes: Mapping[str, int],
    lost: int,
    rounds: int,
) -> dict[str, Any]:
    unit = float(np.median(times[_REFERENCE]["publish"]))
    messages = {}
    for name, kind in kinds.items():
        # A cloud comes as it is: nobody here builds one. Only a cloud has columns.
        wanted = [s for s in STEPS if s not in (("build",) if kind.is_cloud else ("columns",))]
        messages[name] = {
            "bytes": sizes[name],
            "ms": {step: measure.summary(times[name][step]) for step in wanted},
            "ratio": {step: round(float(np.median(times[name][step])) / unit, 3) for step in wanted},
        }
    missing = [p for p in ("vision_msgs", "autoware_perception_msgs") if not find_spec(p)]
    return {
        "benchmark": "message_costs",
        "machine": measure.machine(),
        "rounds": rounds,
        "lost": lost,
        "not_installed": missing,
        "unit": f"publication of {_REFERENCE}",
        "messages": messages,
    }


def page(result: Mapping[str, Any]) -> str:
    """Markdown with the ratios."""
    rounds = result["rounds"]
    lines = [
        "# What a message costs",
        "",
        f"Written by `python benchmarks/message_costs.py --table FILE`: medians of {rounds} rounds, in",
        f"units of the {result['unit']} in the same run. *transport* is from publication to the",
        "callback of a subscriber in another process; *columns* are views of the data, not copies.",
        "",
        "| message | bytes | " + " | ".join(STEPS) + " |",
        "| --- " * (len(STEPS) + 2) + "|",
    ]
    for name, entry in result["messages"].items():
        cells = [f"{entry['ratio'][step]:g}" if step in entry["ratio"] else "" for step in STEPS]
        lines.append(f"| {name} | {entry['bytes']} | " + " | ".join(cells) + " |")
    load = result["machine"]["load_average"][0]
    lines += ["", f"Load average {load:g}; {result['lost']} messages lost. Times are in the JSON."]
    if result["under_load"]:
        lines.append("**Measured while others kept the machine busy: to be repeated on a quiet one.**")
    if result["not_installed"]:
        lines.append(f"Not measured, for want of the package: {', '.join(result['not_installed'])}.")
    return "\n".join(lines) + "\n"


def main(args: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument("--table", type=Path, help="also write a page with the ratios to this file")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args(args)
    result = run(chosen.rounds)
    measure.write_json(result, chosen.json)
    if chosen.table is not None:
        write_text(chosen.table, page(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
