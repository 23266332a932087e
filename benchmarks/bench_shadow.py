"""What the shadow verification costs the live node: the same bag with and without it in turn.

The model is the shipped demo model, clouds of 2 MB come at 10 Hz over DDS, and one frame a second also goes
through the reference. Absolute times belong to this machine; the ratios of one run do not.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import measure
import numpy as np
import yaml

from awml_deploy_lab.simulation.bag import write_simulated_bag
from awml_deploy_lab.simulation.drive import SimulatedDrive
from awml_deploy_lab.simulation.lidar import LIDARS
from awml_deploy_lab.simulation.parameters import HELD_OUT
from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.bag_types import typestore_for
from awml_deploy_ros.domains import reserve_domain_id
from awml_deploy_ros.live import LiveSettings, play_live, read_recording
from awml_deploy_ros.live.run import NODE_NAME
from awml_deploy_ros.topics import SHADOW

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config" / "centerpoint"
MODEL = ROOT / "models" / "centerpoint_demo"
RATE_HZ = 10.0
SWEEPS = 50
BLOCK_S = 30
BLOCKS = 4
"""Of each kind."""
SETTLE = 20
"""First frames of a block, in which the reference is being loaded."""


def run(block_s: float = BLOCK_S, blocks: int = BLOCKS, backend: str = "onnxruntime", bag: str = "") -> Any:
    """Play blocks with and without the shadow in turn, the first of a pair changing, and report."""
    if not os.environ.get("ROS_DOMAIN_ID"):
        os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    latencies: dict[bool, list[float]] = {False: [], True: []}
    counts: dict[bool, dict[str, int]] = {
        kind: dict.fromkeys(("sent", "processed"), 0) for kind in latencies
    }
    compared: list[Any] = []
    loads = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = CloudTopic.find(Path(bag) if bag else simulated(folder / "bag"))
        for block in range(2 * blocks):
            shadow = block % 4 in (1, 2)
            settings = LiveSettings(
                MODEL / "bundle",
                parameters(folder / f"{block}.yaml", shadow=shadow, backend=backend),
                rate_hz=RATE_HZ,
                loops=max(1, round(block_s * RATE_HZ / source.count)),
            )
            outcome = play_live(source, folder / str(block), settings)
            recording = read_recording(outcome.output_bag, f"/{NODE_NAME}")
            latencies[shadow] += [frame.end_to_end_ms for frame in recording.frames[SETTLE:]]
            counts[shadow]["sent"] += outcome.sent
            counts[shadow]["processed"] += recording.counters.processed
            compared += results(outcome.output_bag)
            loads.append(os.getloadavg()[0])
    figures = {
        "on" if kind else "off": {
            **counts[kind],
            "p50": float(np.percentile(values, 50)),
            "p99": float(np.percentile(values, 99)),
        }
        for kind, values in latencies.items()
    }
    return {
        "benchmark": "shadow",
        "machine": measure.machine(),
        "load_average": loads,
        "reference": backend,
        "end_to_end_ms": figures,
        "compared": len(compared),
        "disagreed": sum(not message.agrees for message in compared),
        "reference_ms_p50": float(np.median([m.reference_ms for m in compared])) if compared else None,
        "ratio_p50": figures["on"]["p50"] / figures["off"]["p50"],
        "ratio_p99": figures["on"]["p99"] / figures["off"]["p99"],
    }


def simulated(path: Path) -> Path:
    """A bag of a simulated drive with 64 beams."""
    lidar = LIDARS["hdl64"]
    drive = SimulatedDrive(0, HELD_OUT, lidar, duration=SWEEPS * lidar.period)
    write_simulated_bag(path, drive.sweeps(SWEEPS), drive.pose_at)
    return path


def parameters(path: Path, *, shadow: bool, backend: str) -> Path:
    """The node's parameter file with the shadow at 1 Hz, or off."""
    document = yaml.safe_load((CONFIG / "node.param.yaml").read_text(encoding="utf-8"))
    values = document["/**"]["ros__parameters"]
    values["shadow"].update(every_n=int(shadow), max_rate_hz=1.0, backend=backend)
    values["checkpoint_path"] = str(MODEL / "checkpoint.pth")
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def results(bag: Path) -> list[Any]:
    """The shadow's results in a recorded bag."""
    from rosbags.rosbag2 import Reader

    store = typestore_for("awml_deploy_msgs")
    with Reader(bag) as reader:
        return [
            store.deserialize_cdr(data, connection.msgtype)
            for connection, _, data in reader.messages()
            if connection.topic == SHADOW.of(f"/{NODE_NAME}")
        ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument("--seconds", type=float, default=BLOCK_S, help="of a block")
    parser.add_argument("--blocks", type=int, default=BLOCKS, help="of each kind")
    parser.add_argument("--backend", default="onnxruntime", help="of the reference")
    parser.add_argument("--bag", default="", help="a rosbag2 instead of a simulated drive")
    options = parser.parse_args()
    measure.write_json(run(options.seconds, options.blocks, options.backend, options.bag), options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
