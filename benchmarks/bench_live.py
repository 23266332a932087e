"""The node at 10 Hz for 60 s on clouds of 2 MB over DDS: losses, drops, latency, memory.

The model is the shipped demo model. Node, player and recorder are processes of their own. Absolute
times belong to this machine; the counts and the memory do not.
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

from awml_deploy_core.runner.deployment import DeploymentRunner
from awml_deploy_core.runner.targets import load_target
from awml_deploy_lab.simulation.bag import write_simulated_bag
from awml_deploy_lab.simulation.drive import SimulatedDrive
from awml_deploy_lab.simulation.lidar import LIDARS
from awml_deploy_lab.simulation.parameters import HELD_OUT
from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.domains import reserve_domain_id
from awml_deploy_ros.live import LiveSettings, play_live, read_recording, replay_record
from awml_deploy_ros.live.run import NODE_NAME

SECONDS = 60
RATE_HZ = 10.0
SWEEPS = 100
ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config" / "centerpoint"
CHECKPOINT = ROOT / "models" / "centerpoint_demo" / "checkpoint.pth"
WARM_UP_S = 10
"""Memory is judged from then on."""


def run(seconds: int = SECONDS, rate_hz: float = RATE_HZ) -> dict[str, Any]:
    """Play for ``seconds`` at ``rate_hz`` and report."""
    if not os.environ.get("ROS_DOMAIN_ID"):
        os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        overrides = [f"checkpoint_path={CHECKPOINT}", f"work_dir={folder}"]
        DeploymentRunner(load_target(CONFIG / "deploy.yaml", overrides)).export()
        lidar = LIDARS["hdl64"]
        drive = SimulatedDrive(0, HELD_OUT, lidar, duration=SWEEPS * lidar.period)
        write_simulated_bag(folder / "bag", drive.sweeps(SWEEPS), drive.pose_at)
        source = CloudTopic.find(folder / "bag")
        loops = max(1, round(seconds * rate_hz / SWEEPS))
        settings = LiveSettings(folder / "bundle", CONFIG / "node.param.yaml", rate_hz=rate_hz, loops=loops)
        outcome = play_live(source, folder / "live", settings)
        recording = read_recording(outcome.output_bag, f"/{NODE_NAME}")
        record = replay_record(source, settings, outcome, recording)
    memory = np.array(outcome.node_memory_mb[WARM_UP_S:] or outcome.node_memory_mb)
    slope = np.polyfit(np.arange(len(memory)), memory, 1)[0] if len(memory) > 1 else 0.0
    return {
        "benchmark": "live",
        "machine": measure.machine(),
        "seconds": record.seconds,
        "rate_hz": rate_hz,
        "cloud_mb": record.sent_bytes / record.sent / 1e6,
        "status": record.status,
        "sent": record.sent,
        "late": record.late,
        "received": record.received,
        "lost_in_transport": record.sent - record.received,
        "processed": record.processed,
        "dropped": record.dropped,
        "latency_ms": {
            r.stage: {"p50": r.p50, "p95": r.p95, "p99": r.p99, "max": r.max} for r in record.latencies
        },
        "memory_mb": {
            "after_warm_up": float(memory[0]),
            "end": float(memory[-1]),
            "max": float(memory.max()),
            "slope_per_minute": float(slope * 60),
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--rate", type=float, default=RATE_HZ, help="[Hz]")
    options = parser.parse_args()
    measure.write_json(run(options.seconds, options.rate), options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
