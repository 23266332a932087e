"""What a vehicle must not need, and what help may not cost."""

import subprocess
import sys

FORBIDDEN = ("torch", "mmdet3d", "onnx", "matplotlib", "rosbags", "rich")
RUN_PATH = """
import sys
from awml_deploy_ros.calibration_status_node import CalibrationStatusNode
from awml_deploy_ros.centerpoint_node import CenterPointNode
from awml_deploy_ros.yolox_node import YoloxNode
from awml_deploy_ros.outputs import registry
for name in ("frame", "markers", "debug"):
    registry._factory(name)
registry._record_factory("detection2d")
from awml_deploy_core.artifacts.bundle import ModelBundle
from awml_deploy_core.runner import open_pipeline
from awml_deploy_core.family import load_family
from awml_deploy_core.runtime.registry import load_backend
for name in ("centerpoint", "yolox", "calibration_status"):
    family = load_family(name)
    config = family.parse_config({})
    family.component_specs(config)
load_backend("onnxruntime")
import onnxruntime
print(*sorted(name for name in sys.modules if name.partition(".")[0] in %r))
"""
HEAVY = ("rclpy", "numpy", "numba", "pydantic", "yaml", "rich", "rosbags", "onnxruntime", "torch")
HELP = """
import sys
from awml_deploy_ros.programs import replay
sys.argv = ["awml-replay", "--help"]
try:
    replay()
except SystemExit as end:
    assert end.code == 0
print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_the_help_of_the_replay_loads_nothing_heavy() -> None:
    result = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    text, _, loaded = result.stdout.partition("LOADED")
    assert "--model BUNDLE" in text
    assert "argparse" in loaded.split()
    assert not set(loaded.split()) & set(HEAVY)


def test_the_run_path_of_the_nodes_imports_neither_torch_nor_onnx() -> None:
    result = subprocess.run(
        [sys.executable, "-c", RUN_PATH % (FORBIDDEN,)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []
