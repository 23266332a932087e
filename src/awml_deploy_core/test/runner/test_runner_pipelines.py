from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toy_family import ToyFamily

from awml_deploy_core.artifacts.bundle import ModelBundle
from awml_deploy_core.config import LoadedConfig
from awml_deploy_core.errors import ArtifactError, ConfigError, ParameterError
from awml_deploy_core.runner import open_pipeline
from awml_deploy_core.runner.deployment import DeploymentRunner

VEHICLE_PATH = """
import sys
sys.path.insert(0, {helpers!r})
from importlib.metadata import entry_points as installed
from awml_deploy_core import family, packages
from toy_family import ToyFamily

class Toy:
    name = "toy"
    def load(self):
        return ToyFamily

packages.entry_points = lambda *, group: [Toy()] if group == family.GROUP else installed(group=group)
from awml_deploy_core.runner import open_pipeline

samples = ToyFamily().open_samples({clouds!r})
with open_pipeline({bundle!r}, "onnxruntime", "cpu") as pipeline:
    print(len(pipeline.infer(samples[0].input).output))
loaded = {{name.partition(".")[0] for name in sys.modules}}
banned = {{"torch", "onnx", "onnxscript", "mmdet3d", "matplotlib", "rich"}} & loaded
assert not banned, banned
"""


@pytest.fixture
def bundle(loaded: LoadedConfig) -> Path:
    DeploymentRunner(loaded).export()
    return loaded.deploy.bundle


def test_both_backends_give_the_same_boxes(
    bundle: Path, clouds: Path, tmp_path: Path, toy: ToyFamily
) -> None:
    sample = toy.open_samples(str(clouds))[0]
    with (
        open_pipeline(bundle, "pytorch", "cpu", checkpoint=tmp_path / "weights.pth") as reference,
        open_pipeline(bundle, "onnxruntime", "cpu", num_threads=1) as test,
    ):
        expected, actual = reference.infer(sample.input), test.infer(sample.input)
    np.testing.assert_allclose(actual.output.scores, expected.output.scores, rtol=1e-5)
    assert actual.latencies.stages[0].name == "decode"


def test_options_reach_the_pipeline(bundle: Path, clouds: Path, toy: ToyFamily) -> None:
    sample = toy.open_samples(str(clouds))[0]
    with open_pipeline(bundle, "onnxruntime", "cpu", {"threshold": 1.1}) as pipeline:
        assert len(pipeline.infer(sample.input).output) == 0
    with pytest.raises(ParameterError, match="unknown option"):
        open_pipeline(bundle, "onnxruntime", "cpu", {"treshold": 0.99})


def test_vehicle_path_loads_no_training_framework(bundle: Path, clouds: Path) -> None:
    helpers = str(Path(__file__).resolve().parents[1])
    program = VEHICLE_PATH.format(helpers=helpers, clouds=str(clouds), bundle=str(bundle))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


def test_a_bundle_that_is_open_is_not_read_again(bundle: Path) -> None:
    opened = ModelBundle.open(bundle)
    # Whoever would compare the files with the manifest again would find that one is missing.
    extra = next(record.path for record in opened.manifest.files if not record.path.endswith(".onnx"))
    (bundle / extra).unlink()
    with open_pipeline(opened, "onnxruntime", "cpu") as pipeline:
        assert pipeline.sessions
    with pytest.raises(ArtifactError, match="do not match its manifest"):
        open_pipeline(bundle, "onnxruntime", "cpu")


def test_what_is_missing_is_named(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown backend"):
        open_pipeline(bundle, "tensorflow", "cpu")
    with pytest.raises(ArtifactError, match="missing"):
        open_pipeline(tmp_path / "none", "onnxruntime", "cpu")
    with pytest.raises(ArtifactError, match="has no PyTorch module"):
        open_pipeline(bundle, "pytorch", "cpu")
