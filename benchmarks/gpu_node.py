"""The node on a GPU over real DDS: clouds of 350,000 points at 20 Hz for minutes, then ever faster.

    python benchmarks/gpu_node.py --json node.json                     # 5 minutes at 20 Hz, then the rates
    python benchmarks/gpu_node.py --seconds 20 --rates 40 80 160       # a short run

Needs ROS 2 (the ros-* wheels are enough) and awml_deploy_msgs. The node is the shipped one in a
process of its own, and so is the publisher. Every frame's processing time comes from the debug
topic, what became of every cloud from /diagnostics; clouds that were sent and never received are
lost in transport. A rate counts as held if no cloud was dropped or lost.
"""

from __future__ import annotations

import argparse
import os
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gpu_paths  # noqa: F401 - first, as it makes the packages importable
import measure
import numpy as np
from gpu_timing import statistics

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src" / "awml_deploy_ros"))
os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[0], os.environ.get("PYTHONPATH", "")])
os.environ.setdefault("FASTDDS_DEFAULT_PROFILES_FILE", str(ROOT / "config" / "fastdds_profile.xml"))
os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

CHECKPOINT = ROOT / "models" / "centerpoint_demo" / "checkpoint.pth"
NODE, TOPIC = "/centerpoint", "/centerpoint/input/pointcloud"
POINTS, RATE_HZ, SECONDS = 350_000, 20.0, 300
RATES_HZ, RATE_SECONDS = (30.0, 40.0, 60.0, 80.0, 100.0, 150.0, 200.0), 10
START_TIMEOUT_S, SETTLE_S, CLOUDS = 180.0, 2.0, 8


def publish(rate_hz: float, seconds: float, points: int) -> int:
    """Send serialised clouds at a rate, stamped as they are sent; print their number, late ones, time."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from rclpy.serialization import serialize_message
    from sensor_msgs.msg import PointCloud2

    messages = [serialize_message(_message(points, seed)) for seed in range(CLOUDS)]
    rclpy.init()
    node = rclpy.create_node("clouds")
    publisher = node.create_publisher(PointCloud2, TOPIC, qos_profile_sensor_data)
    deadline = time.monotonic() + START_TIMEOUT_S
    while publisher.get_subscription_count() == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.5)
    count, late, start = int(rate_hz * seconds), 0, time.monotonic()
    for index in range(count):
        wait = start + index / rate_hz - time.monotonic()
        late += wait < -1.0 / rate_hz
        time.sleep(max(0.0, wait))
        data = messages[index % CLOUDS]
        stamp = struct.pack("<iI", *divmod(time.time_ns(), 1_000_000_000))
        # Behind the four bytes that say how it is serialised.
        publisher.publish(data[:4] + stamp + data[12:])
    spent = time.monotonic() - start
    time.sleep(SETTLE_S)
    print(count, late, round(spent, 3), flush=True)
    rclpy.shutdown()
    return 0


def _message(points: int, seed: int) -> Any:
    import array

    from sensor_msgs.msg import PointCloud2, PointField

    from awml_deploy_core.pointcloud2_fields import POINT_XYZIRC
    from awml_deploy_lab.simulation.points import lidar_like_points

    cloud = lidar_like_points(points, seed=seed)
    record = np.zeros(points, POINT_XYZIRC)
    for index, name in enumerate(("x", "y", "z", "intensity")):
        record[name] = cloud[:, index]
    kinds = {"f": PointField.FLOAT32, "u1": PointField.UINT8, "u2": PointField.UINT16}
    fields = []
    for name in POINT_XYZIRC.names or ():
        dtype, offset = (POINT_XYZIRC.fields or {})[name][:2]
        kind = kinds["f" if dtype.kind == "f" else f"u{dtype.itemsize}"]
        fields.append(PointField(name=name, offset=offset, datatype=kind, count=1))
    message = PointCloud2(height=1, width=points, fields=fields, point_step=16, row_step=16 * points)
    message.data = array.array("B", record.tobytes())
    message.is_dense = True
    message.header.frame_id = "base_link"
    return message


@dataclass
class Watch:
    """What the node says of itself."""

    processing_ms: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    status: dict[str, str] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)

    def add_processing(self, message: Any) -> None:
        self.processing_ms.append(message.data)

    def add_latency(self, message: Any) -> None:
        self.latency_ms.append(message.data)

    def diagnose(self, message: Any) -> None:
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            if status.name.endswith("centerpoint: processing"):
                self.status = {**values, "message": status.message}
            elif status.name.endswith("centerpoint: latency"):
                self.stages = values

    @property
    def counts(self) -> dict[str, int]:
        names = ("received", "processed", *(key for key in self.status if key.startswith("dropped.")))
        return {name: int(self.status.get(name, 0)) for name in names}


class Node:
    """The node in a process of its own, and a peer that watches it."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from std_msgs.msg import Float64

        rclpy.init()
        self._rclpy, self.watch = rclpy, Watch()
        self.peer = rclpy.create_node("watch")
        self.peer.create_subscription(DiagnosticArray, "/diagnostics", self.watch.diagnose, 50)
        for topic, record in (
            ("processing_time_ms", self.watch.add_processing),
            ("pipeline_latency_ms", self.watch.add_latency),
        ):
            self.peer.create_subscription(Float64, f"{NODE}/debug/{topic}", record, 50)
        parameters = {
            "model_path": folder / "bundle",
            **({"checkpoint_path": CHECKPOINT} if options.backend == "pytorch" else {}),
            "backend": options.backend,
            "device": options.device,
            "outputs": "[debug]",
            "autostart": "true",
            "latency_window": 10_000,
            "densification_params.num_past_frames": 0,
        }
        given = [part for key, value in parameters.items() for part in ("-p", f"{key}:={value}")]
        command = [sys.executable, "-u", "-m", "awml_deploy_ros", "centerpoint_node", "--ros-args", *given]
        self.log = (folder / "node.log").open("w+")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT)

    def spin_until(self, done: Any, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline or self.process.poll() is not None:
                return False
            self._rclpy.spin_once(self.peer, timeout_sec=0.1)
        return True

    def play(self, rate_hz: float, seconds: float, points: int) -> dict[str, Any]:
        """What became of the clouds of one rate."""
        before, done = self.watch.counts, len(self.watch.processing_ms)
        aged = len(self.watch.latency_ms)
        arguments = ["--publish", str(rate_hz), "--seconds", str(seconds), "--points", str(points)]
        player = subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True)
        ended = self.spin_until(lambda: player.poll() is not None, seconds * 3 + START_TIMEOUT_S)
        if not ended:
            player.kill()
            raise RuntimeError(f"the node or the publisher ended or hung; the node's log:\n{self.tail()}")
        self.spin_until(lambda: False, SETTLE_S)
        output = player.communicate()[0].split()
        sent, late, spent = int(output[-3]), int(output[-2]), float(output[-1])
        counts = {name: count - before.get(name, 0) for name, count in self.watch.counts.items()}
        dropped = {name: count for name, count in counts.items() if name.startswith("dropped.") and count}
        lost = sent - counts["received"]
        return {
            "rate_hz": rate_hz,
            "sent": sent,
            "late": late,
            "sent_hz": round(sent / spent, 2),
            "received": counts["received"],
            "processed": counts["processed"],
            "lost_in_transport": lost,
            "dropped": dropped,
            "held": not dropped and lost == 0,
            "processing_ms": statistics(self.watch.processing_ms[done:] or [float("nan")]),
            "age_when_published_ms": statistics(self.watch.latency_ms[aged:] or [float("nan")]),
        }

    def tail(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text()[-4000:]

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._rclpy.shutdown()


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Start the node, play, and report; what is known so far is written after every rate."""
    from awml_deploy_core.runner.deployment import DeploymentRunner
    from awml_deploy_core.runner.targets import load_target
    from awml_deploy_ros.domains import reserve_domain_id

    if not os.environ.get("ROS_DOMAIN_ID"):
        os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
    result: dict[str, Any] = {
        "benchmark": "gpu_node",
        "machine": measure.machine(),
        "backend": f"{options.backend}:{options.device}",
        "points": options.points,
        "cloud_mb": 16 * options.points / 1e6,
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # Simplified by a package that few machines have, for a graph that PyTorch does not run.
        simplify = f"export.onnx.simplify={str(options.backend != 'pytorch').lower()}"
        overrides = [f"checkpoint_path={CHECKPOINT}", f"work_dir={folder}", simplify]
        DeploymentRunner(load_target(ROOT / "config" / "centerpoint" / "deploy.yaml", overrides)).export()
        node = Node(folder, options)
        try:
            if not node.spin_until(lambda: node.watch.status.get("state") == "active", START_TIMEOUT_S):
                raise RuntimeError(f"the node is not active; its log:\n{node.tail()}")
            result["long_run"] = node.play(options.rate, options.seconds, options.points)
            result["stages_of_long_run"] = dict(node.watch.stages)
            result["faster"], result["first_rate_not_held_hz"] = [], None
            _write(result, options.json)
            for rate in options.rates:
                played = node.play(rate, RATE_SECONDS, options.points)
                result["faster"].append(played)
                _write(result, options.json)
                if not played["held"]:
                    result["first_rate_not_held_hz"] = rate
                    break
            result["last_error"] = node.watch.status.get("last_error", "")
        finally:
            node.close()
    return {**result, "exit_code": node.process.returncode}


def _write(result: dict[str, Any], path: Path | None) -> None:
    """A run that is cut short keeps what it has measured."""
    if path is not None:
        measure.write_json(result, path)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", default="pytorch")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--rate", type=float, default=RATE_HZ, help="of the long run [Hz]")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the long run")
    parser.add_argument("--rates", type=float, nargs="*", default=RATES_HZ, help="played after it [Hz]")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument("--publish", type=float, metavar="HZ", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish:
        return publish(options.publish, options.seconds, options.points)
    result = run(options)
    measure.write_json(result, options.json)
    return 0 if result["long_run"]["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
