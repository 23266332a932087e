"""Takes a node through its life again and again and says what that cost.

``python lifecycle_loops.py LOOPS`` prints JSON. The transitions are called directly, and every life gets a
cloud, so that all threads have worked.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import rclpy
from clouds import cloud_of
from fakes import FakeModels
from footprint import figures
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from awml_deploy_ros.centerpoint_node import CenterPointNode
from awml_deploy_ros.domains import reserve_domain_id
from awml_deploy_ros.process import FatalErrors

POINTS = np.ones((1000, 4), np.float32)


def loops(number: int, folder: Path, every: int = 10) -> list[dict[str, int]]:
    """Figures after every so many lives."""
    fatal = FatalErrors()
    values: dict[str, Any] = {
        "model_path": "fake",
        "snippets.folder": str(folder / "snippets"),
        "latency_budget_file": str(
            Path(__file__).resolve().parents[4] / "config/centerpoint/latency_budget.yaml"
        ),
    }
    models = FakeModels()
    node = CenterPointNode(
        fatal,
        open_model=models,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    found = []
    steps = (
        node.trigger_configure,
        node.trigger_activate,
        None,
        node.trigger_deactivate,
        node.trigger_cleanup,
    )
    try:
        for life in range(number):
            for step in steps:
                if step is None:
                    node._stream.worker.submit(cloud_of(POINTS, stamp=(life + 1, 0)))
                else:
                    assert step() == TransitionCallbackReturn.SUCCESS
            assert fatal.error is None, fatal.error
            # What a fake remembers for tests is no leak of the node.
            models.state.samples.clear()
            models.settings.clear()
            if life % every == every - 1:
                found.append({"life": life + 1, **figures()})
    finally:
        node.close()
        node.destroy_node()
    return found


def main() -> int:
    import tempfile

    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
    number = int(sys.argv[1])
    rclpy.init(args=["--ros-args", "--log-level", "error"])
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(loops(number, Path(folder), max(1, number // 20))))
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
