"""Faults injected into the running node one by one: what it does, and what becomes of every cloud.

The node ``centerpoint`` with the shipped demo model runs in a process of its own; clouds come over DDS at a
steady rate, and with ``--busy`` other programs want the processor as well. Every fault is one row: what the
node did, what became of every cloud, whether it lives, whether the next good cloud is processed.

    python benchmarks/fault_injection.py --json benchmarks/results/faults.json --table docs/faults.md
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure
import rclpy
from faults import cloud_cases, process_cases, time_cases
from faults.case import Case, World, run
from faults.peer import Peer
from faults.rig import Rig
from faults.rows import Row
from faults.table import page
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2

from awml_deploy_core.files import write_text
from awml_deploy_lab.simulation.bag import write_simulated_bag
from awml_deploy_lab.simulation.drive import SimulatedDrive
from awml_deploy_lab.simulation.lidar import LIDARS
from awml_deploy_lab.simulation.parameters import HELD_OUT
from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.domains import reserve_domain_id
from awml_deploy_ros.live.run import NODE_NAME
from awml_deploy_ros.transport import large_cloud_environment

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "models" / "centerpoint_demo" / "bundle"
PARAMETERS = ROOT / "config" / "centerpoint" / "node.param.yaml"
RATE_HZ = 10.0
SWEEPS = 12
TMPFS_MB = 64
# Only frames before which a cloud was superseded have this stage, so a burst of clouds makes snippets.
BUDGET = "stages: {remember: {max_allowed_processing_time_ms: 0.000001}}\n"
DROP = ("-p", "densification_params.on_missing_tf:=drop")


@dataclass(frozen=True)
class Options:
    """How the faults are injected."""

    rate_hz: float = RATE_HZ
    busy: int = 0
    """Processes that want the processor all the time."""
    patience_s: float = 60.0
    """How long an event may take."""
    tmpfs: bool = False
    """Whether to mount a small file system for the snippets; needs root."""
    only: tuple[str, ...] = ()
    """Parts of the names of the faults to inject; all if empty."""


def cases(topic: str) -> list[Case]:
    """All faults in order; those that end the node say how the next one is started."""
    reliable = ("-p", f"qos_overrides.{topic}.subscription.reliability:=reliable")
    return [
        *cloud_cases.CASES,
        *time_cases.CASES,
        *process_cases.CASES,
        process_cases.ended_node(signal.SIGINT, *DROP),
        *time_cases.DROP_CASES,
        process_cases.ended_node(signal.SIGKILL),
        process_cases.ended_node(signal.SIGTERM, *reliable, reliable=True),
        process_cases.QOS_CASE,
    ]


def inject(
    bag: Path, folder: Path, options: Options, tell: Callable[[Row], None] = lambda _: None
) -> list[Row]:
    """Start the node, inject every fault, end the node.

    Args:
        bag: Clouds of PointXYZIRC in base_link, with transforms.
        folder: Gets logs and snippets.
        options: How.
        tell: Told every row when it is there.

    Raises:
        ProcessError: The node did not start.
    """
    os.environ.setdefault("ROS_DOMAIN_ID", str(reserve_domain_id()))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.update(large_cloud_environment())
    source = CloudTopic.find(bag)
    good = next(iter(source.messages()))
    disk, budget = folder / "disk", folder / "budget.yaml"
    disk.mkdir(parents=True)
    snippets = disk / "snippets"
    write_text(budget, BUDGET)
    arguments = [
        *("--params-file", str(PARAMETERS)),
        *("-p", f"model_path:={BUNDLE}", "-p", "autostart:=true", "-p", f"latency_budget_file:={budget}"),
        *process_cases.snippet_arguments(snippets),
    ]
    rows = []
    with contextlib.ExitStack() as stack:
        rclpy.init(args=[])
        stack.callback(rclpy.try_shutdown)
        peer = Peer(f"/{NODE_NAME}", source.name, good)
        stack.callback(peer.close)
        if options.tmpfs:
            stack.enter_context(_mounted(disk))
        rig = Rig(peer, folder, arguments, source.name, options.rate_hz, options.patience_s)
        stack.callback(rig.stop)
        for _ in range(options.busy):
            stack.enter_context(_busy())
        rig.start()
        world = World(rig, deserialize_message(good, PointCloud2), bag, snippets, folder)
        for case in cases(source.name):
            if options.only and not any(part in case.fault for part in options.only):
                continue
            rows.append(run(case, world))
            tell(rows[-1])
            if not rig.alive:
                rig.start()
    return rows


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def _mounted(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MB}m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def simulated(path: Path) -> Path:
    """A bag of a simulated drive with 64 beams, clouds of 2 MB."""
    lidar = LIDARS["hdl64"]
    drive = SimulatedDrive(0, HELD_OUT, lidar, duration=SWEEPS * lidar.period)
    write_simulated_bag(path, drive.sweeps(SWEEPS), drive.pose_at)
    return path


def _show(row: Row) -> None:
    verdict = "skipped" if row.skipped else "passed" if row.passed else "FAILED"
    fates = f"{row.sent} clouds, {row.processed} processed, {dict(row.dropped)}"
    print(f"{verdict}  {row.seconds:4.1f} s  {row.fault}: {fates}")
    for problem in row.problems or ([row.skipped] if row.skipped else []):
        print(f"        {problem}")
    sys.stdout.flush()


def main(args: Sequence[str] | None = None) -> int:
    """Exit code 0 only if every fault passed that was injected, and one was."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--table", type=Path, help="also write a page with the table to this file")
    parser.add_argument("--bag", type=Path, help="a rosbag2 instead of a simulated drive")
    parser.add_argument("--rate", type=float, default=RATE_HZ, help="of the clouds [Hz]")
    parser.add_argument("--busy", type=int, default=2, help="processes that want the processor, too")
    parser.add_argument("--tmpfs", action="store_true", help="fill a file system of its own; needs root")
    parser.add_argument("--only", nargs="*", default=[], help="parts of the names of the faults")
    parser.add_argument("--logs", type=Path, help="folder that keeps logs and snippets")
    parser.add_argument("--patience", type=float, default=60.0, help="for an event [s]")
    chosen = parser.parse_args(args)
    options = Options(
        chosen.rate, chosen.busy, chosen.patience, tmpfs=chosen.tmpfs, only=tuple(chosen.only)
    )
    machine, loaded = measure.machine(), measure.under_load()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        bag = chosen.bag or simulated(Path(scratch, "bag"))
        rows = inject(bag, chosen.logs or Path(scratch, "run"), options, _show)
    result: dict[str, Any] = {
        "benchmark": "faults",
        "machine": machine,
        "under_load": loaded,
        "load_average_after": [round(value, 2) for value in os.getloadavg()],
        "rate_hz": chosen.rate,
        "busy": chosen.busy,
        "seconds": round(time.monotonic() - start, 1),
        "rows": [row.as_dict() for row in rows],
    }
    if chosen.json is not None:
        measure.write_json(result, chosen.json)
    if chosen.table is not None:
        write_text(chosen.table, page(rows, result))
    injected = [row for row in rows if not row.skipped]
    return 0 if injected and all(row.passed for row in injected) else 1


if __name__ == "__main__":
    sys.exit(main())
