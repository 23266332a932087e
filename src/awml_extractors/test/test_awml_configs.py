"""AWML's configurations of the three projects become ours, key by key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from awml_deploy_core.awml_import import ImportedConfig, import_awml_config, importer
from awml_deploy_core.awml_import.importer import leaves
from awml_deploy_core.awml_import.python_config import read_python_config
from awml_deploy_core.awml_import.writing import write_deploy_yaml
from awml_deploy_core.cli.main import main
from awml_deploy_core.config import load_config
from awml_deploy_core.errors import ConfigError
from awml_deploy_core.exit_codes import ExitCode
from awml_extractors.centerpoint.variants import parse_config

CONFIGS = Path(__file__).parent / "awml_configs"
DEPLOY = {name: CONFIGS / f"{name}_deploy_config.py" for name in ("centerpoint", "yolox", "calibration")}
FAMILIES = {"centerpoint": "centerpoint", "yolox": "yolox", "calibration": "calibration_status"}


@pytest.fixture(autouse=True)
def backends(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the installed backends, which a test may change."""
    names = ["onnxruntime", "pytorch"]
    monkeypatch.setattr(importer, "available_backends", lambda: tuple(names))
    return names


def imported(name: str, root: Path, **options: Any) -> ImportedConfig:
    model = CONFIGS / f"{name}_model_config.py"
    return import_awml_config(DEPLOY[name], model if model.exists() else None, root=root, **options)


@pytest.mark.parametrize("name", DEPLOY)
def test_every_key_has_a_fate(name: str, tmp_path: Path) -> None:
    found = imported(name, tmp_path)
    assert found.family == FAMILIES[name]
    keys = [key.key for key in found.keys if key.key and not key.key.startswith("model_config.")]
    assert sorted(keys) == sorted(key for key, _ in leaves(read_python_config(DEPLOY[name]).values))
    assert {key.state for key in found.keys} == {"mapped", "default", "unused"}
    assert all(key.note for key in found.keys if key.state == "unused")


@pytest.mark.parametrize("name", DEPLOY)
def test_written_file_is_a_valid_configuration(name: str, tmp_path: Path) -> None:
    found = imported(name, tmp_path / "awml", follow_bases=name == "centerpoint")
    path = tmp_path / "deploy.yaml"
    write_deploy_yaml(found, path, DEPLOY[name])
    loaded = load_config(path)
    assert loaded.family.name == FAMILIES[name]
    assert loaded.deploy.export.onnx.opset_version == 16
    assert loaded.deploy.work_dir.parent == tmp_path / "awml" / "work_dirs"
    assert loaded.deploy.checkpoint_path is not None
    assert loaded.deploy.checkpoint_path.is_relative_to(tmp_path / "awml")
    section = loaded.deploy.verification
    (scenario,) = section.scenarios_by_mode[loaded.deploy.export.mode]
    assert scenario.title == "pytorch:cpu vs onnxruntime:cpu"
    assert section.samples
    assert [dataset.source for dataset in loaded.deploy.evaluation.datasets] == list(section.samples)
    assert loaded.deploy.evaluation.enabled == (name != "calibration")


def test_centerpoint_variant_follows_from_the_model_configuration(tmp_path: Path) -> None:
    section = dict(imported("centerpoint", tmp_path, follow_bases=True).content["model"])
    section.pop("family")
    assert parse_config(section) == parse_config({"variant": "awml_j6gen2"})


def test_centerpoint_without_the_model_configuration(tmp_path: Path) -> None:
    section = import_awml_config(DEPLOY["centerpoint"], root=tmp_path).content["model"]
    assert section["max_voxels"] == 96000
    assert section["point_features"] == ["x", "y", "z", "intensity", "time_lag"]


def test_bases_are_only_followed_when_asked_for(tmp_path: Path) -> None:
    found = imported("centerpoint", tmp_path)
    assert "class_names" not in found.content["model"]
    assert any("--follow-base" in warning for warning in found.warnings)
    assert not any(
        "--follow-base" in w for w in imported("centerpoint", tmp_path, follow_bases=True).warnings
    )


def test_yolox(tmp_path: Path) -> None:
    content = imported("yolox", tmp_path).content
    assert content["model"] == {
        "family": "yolox",
        "onnx_file": "yolox_opt_elan.onnx",
        "input_size": [960, 960],
        "batch_size": 6,
        "deepen_factor": 2,
        "widen_factor": 1,
        "activation": "ReLU6",
        "neck_blocks": 2,
        "options": {"score_threshold": 0.01, "nms_threshold": 0.65},
    }
    assert content["verification"]["samples"] == [str(tmp_path / "data/t4dataset/yolox_infos_val.json")]


def test_calibration_status(tmp_path: Path) -> None:
    found = imported("calibration", tmp_path)
    assert found.content["model"] == {
        "family": "calibration_status",
        "onnx_file": "end2end.onnx",
        "batch_size": [1, 1, 1],
        "height": [1080, 1860, 2160],
        "width": [1920, 2880, 3840],
    }
    notes = {key.key: key.note for key in found.keys}
    assert "tensorrt" in notes["verification.scenarios.both.1.test_backend"]


def test_scenarios_of_every_installed_backend_are_kept(tmp_path: Path, backends: list[str]) -> None:
    backends.append("tensorrt")
    found = imported("centerpoint", tmp_path)
    onnx = {"reference": "pytorch:cpu", "test": "onnxruntime:cpu"}
    engine = {"reference": "onnxruntime:cuda:0", "test": "tensorrt:cuda:0"}
    by_mode = found.content["verification"]["scenarios_by_mode"]
    assert by_mode == {"both": [onnx, engine], "onnx": [onnx], "trt": [engine]}
    notes = {key.key: key.note for key in found.keys}
    assert notes["verification.scenarios.none"] == "names no scenario"


def test_evaluated_backends(tmp_path: Path, backends: list[str]) -> None:
    both = ["pytorch:cuda:0", "onnxruntime:cuda:0"]
    found = imported("centerpoint", tmp_path)
    section = found.content["evaluation"]
    assert section["backends"] == both
    assert (section["enabled"], section["num_samples"]) == (True, -1)
    notes = {key.key: key.note for key in found.keys}
    assert "tensorrt is not installed" in notes["evaluation.backends.tensorrt.enabled"]
    assert "runs the bundle" in notes["evaluation.backends.onnx.model_dir"]
    backends.append("tensorrt")
    assert imported("centerpoint", tmp_path).content["evaluation"]["backends"] == [*both, "tensorrt:cuda:0"]
    path = tmp_path / "deploy_config.py"
    path.write_text(
        DEPLOY["centerpoint"].read_text().replace("onnx=dict(enabled=True", "onnx=dict(enabled=False")
    )
    off = import_awml_config(path, root=tmp_path)
    assert off.content["evaluation"]["backends"] == ["pytorch:cuda:0", "tensorrt:cuda:0"]


def test_settings_of_engines(tmp_path: Path) -> None:
    found = {name: imported(name, tmp_path).content["export"]["tensorrt"] for name in DEPLOY}
    assert found == {
        "centerpoint": {"precision": "tf32", "workspace_mib": 2048},
        "yolox": {"precision": "tf32", "workspace_mib": 1024},
        "calibration": {"precision": "fp16", "workspace_mib": 1024},
    }


def test_both_generations_of_one_model_agree(tmp_path: Path) -> None:
    path = tmp_path / "deploy_config.py"
    path.write_text(
        "task_type = 'detection2d'\nexport = dict(mode='onnx', work_dir='w')\n"
        "components = dict(model=dict(onnx_file='yolox_opt_elan.onnx', engine_file='e.engine',\n"
        "    io=dict(inputs=[dict(name='images')], outputs=[dict(name='output')], dynamic_axes={}),\n"
        "    tensorrt_profile=dict(images=dict(min_shape=[6, 3, 960, 960], opt_shape=[6, 3, 960, 960],\n"
        "        max_shape=[6, 3, 960, 960]))))\n"
    )
    newer = import_awml_config(path, CONFIGS / "yolox_model_config.py", root=tmp_path)
    assert newer.content["model"] == imported("yolox", tmp_path).content["model"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('dict(name="reg", dtype="float32"),', "", "outputs are not those of the exchange format"),
        ("[96000, 32, 11]", "[96000, 32, 12]", "of no known decoration"),
        ("pts_voxel_encoder=dict(", "encoder=dict(", "is of no model family that is installed"),
    ],
)
def test_contradictions(tmp_path: Path, old: str, new: str, problem: str) -> None:
    path = tmp_path / "deploy_config.py"
    path.write_text(DEPLOY["centerpoint"].read_text().replace(old, new))
    with pytest.raises(ConfigError, match=problem):
        import_awml_config(path)


def test_command_prints_the_mapping_and_writes_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    output = tmp_path / "deploy.yaml"
    arguments = ["import-config", str(DEPLOY["yolox"]), "-o", str(output), "--root", str(tmp_path)]
    assert main(arguments) == ExitCode.PASSED
    printed = capsys.readouterr().out
    assert "onnx_config.save_file" in printed
    assert "model.onnx_file" in printed
    assert yaml.safe_load(output.read_text())["model"]["family"] == "yolox"


def test_command_refuses_code(tmp_path: Path) -> None:
    path = tmp_path / "deploy_config.py"
    path.write_text("import os\nexport = dict(work_dir=os.getcwd())\n")
    assert main(["import-config", str(path)]) == ExitCode.BAD_INPUT
