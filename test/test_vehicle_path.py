"""What runs in the vehicle loads neither torch nor onnx, down to the last box."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FORBIDDEN = {"torch", "mmdet3d", "onnx", "onnxscript", "matplotlib", "rosbags", "rich", "pandas"}
"""Not scipy: where it is installed, numba looks at its version."""
SCRIPT = """
import sys
import numpy as np
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_ros.centerpoint_node import CenterPointNode
from awml_deploy_ros.model import open_bundle, warm_up
from awml_deploy_ros.outputs import registry
from awml_deploy_ros.parameters import AT_START
from awml_deploy_ros.settings import NodeSettings

values = {spec.name: spec.default for spec in AT_START} | {"model_path": sys.argv[1]}
model = open_bundle(NodeSettings.from_values(values))
warm_up(model.pipeline, 2)
for name in ("frame", "markers", "debug"):
    registry._factory(name)
points = np.random.default_rng(0).uniform(-20, 20, (5000, 4)).astype(np.float32)
result = model.pipeline.infer(PointCloudFrame.single(PointColumns.from_array(points)))
assert result.counts["points_in"] == 5000
print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_a_frame_of_the_real_model_needs_no_torch(bundle: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(bundle)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("LOADED"))
    loaded = set(line.split()[1:])
    assert {"onnxruntime", "numba", "rclpy"} <= loaded
    assert loaded & FORBIDDEN == set()
