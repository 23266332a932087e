"""The node at 10 Hz for minutes on clouds of 2 MB over DDS: frames counted, latency and memory over time.

Node, player and recorder are processes of their own; the model is the shipped demo model. Exit code 0 only
if every cloud was processed or dropped with a reason. Times belong to this machine and its load; the counts
and the memory do not.

    python benchmarks/long_run.py --json benchmarks/results/long_run.json --plot docs/images/long_run.png
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measure
import numpy as np
from fault_injection import BUNDLE, PARAMETERS, simulated

from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.domains import reserve_domain_id
from awml_deploy_ros.live import LiveSettings, play_live, read_recording, replay_record
from awml_deploy_ros.live.run import NODE_NAME

MINUTES = 10.0
RATE_HZ = 10.0
WARM_UP_S = 30
"""Memory is judged from then on: threads, pools and the rolling statistics are filled by then."""


def run(minutes: float = MINUTES, rate_hz: float = RATE_HZ, bag: Path | None = None) -> dict[str, Any]:
    """Play for so long and report, with the series of latency and memory."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(reserve_domain_id()))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    machine, loaded = measure.machine(), measure.under_load()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = CloudTopic.find(bag if bag is not None else simulated(folder / "bag"))
        loops = max(1, round(minutes * 60 * rate_hz / source.count))
        settings = LiveSettings(BUNDLE, PARAMETERS, rate_hz=rate_hz, loops=loops)
        outcome = play_live(source, folder / "live", settings)
        recording = read_recording(outcome.output_bag, f"/{NODE_NAME}")
        record = replay_record(source, settings, outcome, recording)
    unexplained = record.sent - recording.counters.accounted
    memory = np.array(outcome.node_memory_mb)
    settled = memory[min(WARM_UP_S, len(memory) // 2) :]
    latency = [frame.end_to_end_ms for frame in recording.frames]
    return {
        "benchmark": "long_run",
        "machine": machine,
        "under_load": loaded,
        "load_average_after": [round(value, 2) for value in os.getloadavg()],
        "seconds": record.seconds,
        "rate_hz": rate_hz,
        "cloud_mb": round(outcome.sent_bytes / outcome.sent / 1e6, 3),
        "sent": record.sent,
        "late": record.late,
        "received": record.received,
        "processed": recording.counters.processed,
        "recorded": len(recording.frames),
        "dropped": dict(recording.counters.dropped),
        "unexplained": unexplained,
        "verdict": record.status,
        "end_to_end_ms": measure.summary(latency),
        "memory_mb": {
            "after_warm_up": round(float(settled[0]), 1),
            "end": round(float(settled[-1]), 1),
            "max": round(float(memory.max()), 1),
            "slope_per_minute": round(slope_per_minute(settled), 3),
        },
        "series": {
            "end_to_end_ms": [round(value, 1) for value in latency],
            "memory_mb_each_second": [round(float(value), 1) for value in memory],
        },
    }


def slope_per_minute(memory_mb: np.ndarray[Any, Any]) -> float:
    """Of a line through a figure a second."""
    if len(memory_mb) < 2:
        return 0.0
    return float(np.polyfit(np.arange(len(memory_mb)), memory_mb, 1)[0] * 60)


def plot(result: dict[str, Any], path: Path) -> None:
    """Latency of every frame and memory over the run."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    latency = np.array(result["series"]["end_to_end_ms"])
    memory = np.array(result["series"]["memory_mb_each_second"])
    minutes = np.linspace(0, result["seconds"] / 60, len(latency))
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(9, 5), sharex=True, layout="constrained")
    above.plot(minutes, latency, ".", markersize=2, color="tab:blue")
    for name, style in (("p50", "-"), ("p99", "--")):
        above.axhline(
            result["end_to_end_ms"][name], linestyle=style, color="black", linewidth=0.8, label=name
        )
    above.set_ylabel("end to end [ms]")
    above.set_ylim(0, 1.1 * latency.max())
    above.legend(loc="upper right")
    dropped = ", ".join(f"{count} {reason}" for reason, count in result["dropped"].items()) or "none"
    above.set_title(
        f"{result['sent']} clouds of {result['cloud_mb']:.1f} MB at {result['rate_hz']:g} Hz: "
        f"{result['processed']} processed, dropped: {dropped}, {result['unexplained']} unexplained",
        fontsize=10,
    )
    below.plot(np.arange(len(memory)) / 60, memory, color="tab:orange")
    below.set_ylabel("resident memory\nof the node [MB]")
    below.set_ylim(0, 1.1 * memory.max())
    below.set_xlabel("minutes")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main(args: Sequence[str] | None = None) -> int:
    """Play, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--rate", type=float, default=RATE_HZ, help="[Hz]")
    parser.add_argument("--bag", type=Path, help="a rosbag2 instead of a simulated drive")
    parser.add_argument("--json", type=Path, help="write the result with its series to this file")
    parser.add_argument("--plot", type=Path, help="write the plot to this file (PNG)")
    chosen = parser.parse_args(args)
    result = run(chosen.minutes, chosen.rate, chosen.bag)
    if chosen.json is not None:
        measure.write_json(result, chosen.json)
    if chosen.plot is not None:
        plot(result, chosen.plot)
    for name, value in result.items():
        if name != "series":
            print(f"{name}: {value}", file=sys.stderr)
    return 0 if result["unexplained"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
