"""build, selftest and what else of the command line knows engines, on the toy family."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from engine_builds import rtx

from awml_deploy_core.artifacts import Manifest, ModelBundle
from awml_deploy_core.artifacts.references import reference_path
from awml_deploy_core.cli.build import LIBRARIES, PRECISIONS
from awml_deploy_core.cli.main import main
from awml_deploy_core.export import tensorrt_exporter
from awml_deploy_core.runtime.cuda_driver import cuda_device
from awml_deploy_core.runtime.trt.cache import EngineCache
from awml_deploy_core.runtime.trt.key import Environment
from awml_deploy_core.runtime.trt.library import find_library
from awml_deploy_core.runtime.trt.selection import select_engine
from awml_deploy_core.runtime.trt.settings import LibraryChoice, Precision

pytestmark = pytest.mark.usefixtures("toy")

TF32 = ["--precision", "tf32", "--library", "tensorrt_rtx"]


@pytest.fixture
def bundle(deploy: Path) -> Path:
    assert main(["export", str(deploy)]) == 0
    return deploy.parent / "out" / "bundle"


def result(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_choices_are_those_of_the_settings() -> None:
    assert Precision.__args__ == PRECISIONS  # type: ignore[attr-defined]
    assert LibraryChoice.__args__ == LIBRARIES  # type: ignore[attr-defined]


def test_build_is_dry_then_real_then_nothing_to_do(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rtx()
    out = tmp_path / "o.json"
    assert main(["build", str(bundle), *TF32, "--dry-run", "--json", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "encoder: build: no engine of this component" in shown
    assert "profile of points: 1x3 .. 64x3 .. 4096x3" in shown
    assert [plan["action"] for plan in result(out)["facts"]["engines"]] == ["build", "build"]
    assert not (bundle / "engines").exists()

    assert main(["build", str(bundle), *TF32, "--json", str(out)]) == 0
    engines = result(out)["engines"]
    assert [engine["component"] for engine in engines] == ["encoder", "head"]
    assert not any(engine["reused"] for engine in engines)
    manifest = Manifest.read(bundle)
    assert {record.path for record in manifest.engines} == {engine["file"] for engine in engines}
    assert ModelBundle.open(bundle).extra_files == ()

    assert main(["build", str(bundle), *TF32, "--json", str(out)]) == 0
    assert all(engine["reused"] for engine in result(out)["engines"])
    capsys.readouterr()
    assert main(["build", str(bundle), *TF32, "--dry-run", "--rebuild"]) == 0
    assert "a new build was asked for" in capsys.readouterr().out

    assert main(["inspect", str(bundle), "--json", str(out)]) == 0
    shown = "".join(capsys.readouterr().out.split())
    assert all(engine["file"] in shown for engine in engines)
    states = {engine["state"] for engine in result(out)["facts"]["engines"]}
    assert states == {"fits the ONNX file"}
    (bundle / engines[0]["file"]).write_bytes(b"x")
    assert main(["inspect", str(bundle), "--json", str(out)]) == 0
    assert any("corrupt" in engine["state"] for engine in result(out)["facts"]["engines"])


def test_a_bundle_that_needs_nothing_is_not_written_to(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a vehicle it may be read-only."""
    rtx()
    assert main(["build", str(bundle), *TF32]) == 0

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tensorrt_exporter, "folder_lock", refuse)
    assert main(["build", str(bundle), *TF32]) == 0
    assert main(["build", str(bundle), *TF32, "--rebuild"]) == 2


def test_the_last_build_decides_which_engine_a_session_takes(bundle: Path, tmp_path: Path) -> None:
    rtx()
    level = ["--set", "export.tensorrt.optimization_level=1"]
    assert main(["build", str(bundle), *TF32]) == 0
    assert main(["build", str(bundle), *TF32, *level]) == 0
    cache = EngineCache(bundle)
    assert [record.key.flags for record in cache.records()] == [{"optimization_level": "1"}] * 2
    assert Manifest.read(bundle).engines == tuple(cache.records())
    here = Environment.of(find_library("tensorrt_rtx"), None)
    assert select_engine(cache, "head", bundle / "head.onnx", here, "tf32") in cache.records()
    half = ["--precision", "fp16", "--library", "tensorrt_rtx"]
    assert main(["build", str(bundle), *half]) == 0
    assert len(cache.records()) == 4


def test_engines_lost_to_another_build_meanwhile_are_no_success(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rtx()
    export = tensorrt_exporter.TensorRTExporter.export

    def rival_ends_meanwhile(self: Any, source: Any, folder: Path) -> Any:
        if source.spec.name == "head":
            for path in folder.glob("engines/encoder.*"):
                path.unlink()
        return export(self, source, folder)

    monkeypatch.setattr(tensorrt_exporter.TensorRTExporter, "export", rival_ends_meanwhile)
    assert main(["build", str(bundle), *TF32]) == 2
    assert "lost engines of this build to another one" in capsys.readouterr().err


def test_run_builds_engines_and_a_new_export_keeps_those_that_fit(deploy: Path, tmp_path: Path) -> None:
    rtx()
    steps = ["--set", "export.mode=both", "--set", "verification.enabled=false"]
    engine = ["--set", "export.tensorrt={precision: tf32, library: tensorrt_rtx}"]
    out = tmp_path / "o.json"
    assert main(["run", str(deploy), *steps, *engine, "--json", str(out)]) == 0
    first = result(out)
    assert len(first["export"]) == len(first["engines"]) == 2
    assert main(["run", str(deploy), *steps, *engine, "--json", str(out)]) == 0
    assert all(item["reused"] for item in result(out)["engines"])
    bundle = tmp_path / "out" / "bundle"
    assert len(Manifest.read(bundle).engines) == 2

    other = ["--set", "export.onnx.opset_version=18"]
    assert main(["export", str(deploy), *other]) == 0
    assert Manifest.read(bundle).engines == ()
    assert list((bundle / "engines").glob("*.engine")) == []


def test_problems_of_a_build_come_before_it(
    bundle: Path, deploy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rtx()
    profile = "{input_points: {min: [1, 3], opt: [2, 3], max: [1, 3]}}"
    wrong = ["--set", f"export.tensorrt.profiles={{encoder: {profile}, haed: {{}}}}"]
    assert main(["build", str(bundle), *TF32, *wrong]) == 2
    shown = capsys.readouterr().err
    assert "haed: is no component of the model (did you mean head?)" in shown
    assert "input_points: is no input of the graph (did you mean points?)" in shown
    assert main(["build", str(deploy), *TF32, "--set", "bundle_path=/nowhere"]) == 2
    assert "there is no bundle at" in capsys.readouterr().err
    refuse = ["--set", "export.tensorrt.on_mismatch=refuse"]
    assert main(["build", str(bundle), *TF32, *refuse]) == 2
    assert "on_mismatch refuses" in capsys.readouterr().err
    assert main(["build", str(bundle), *TF32, *refuse, "--dry-run"]) == 2
    assert "encoder: refuse: no engine of this component" in capsys.readouterr().out
    assert main(["build", str(bundle), "--precision", "int8", "--library", "tensorrt_rtx"]) == 2
    shown = capsys.readouterr().err
    assert "no QuantizeLinear" in shown
    assert "Profiles that fit" not in shown


def test_selftest_runs_what_can_run_and_says_what_cannot(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o.json"
    here = ["selftest", str(bundle), "--runs", "2", "--json", str(out)]
    assert main([*here, "--backend", "onnxruntime:cpu"]) == 0
    test = result(out)["selftest"]
    assert test["status"] == "passed"
    assert [item["component"] for item in test["latencies"]] == ["encoder", "head"]
    assert {check["status"] for check in test["checks"]} == {"passed"}
    assert "recorded outputs" in capsys.readouterr().out
    if cuda_device(0) is not None:
        pytest.skip("there is a GPU")
    assert main(here) == 1
    test = result(out)["selftest"]
    assert test["status"] == "failed"
    (skipped,) = (check for check in test["checks"] if check["status"] == "skipped")
    assert skipped["name"] == "tensorrt:cuda:0"
    assert "no CUDA driver" in skipped["message"]
    assert main([*here, "--backend", "tensorrt:cuda"]) == 1


@pytest.mark.parametrize("backend", ["tensort:cuda", "tensorrt:gpu"])
def test_selftest_of_something_unknown_is_bad_input(bundle: Path, backend: str) -> None:
    assert main(["selftest", str(bundle), "--backend", "onnxruntime:cpu", "--backend", backend]) == 2


def test_selftest_finds_a_model_that_computes_something_else(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    path = reference_path(bundle, "head")
    with np.load(path) as stored:
        content = dict(stored)
    content["values/boxes"] = content["values/boxes"] + 1
    np.savez_compressed(path, **content)
    manifest = Manifest.read(bundle)
    files = tuple(type(f).of(bundle, f.path, f.produced_by) for f in manifest.files)
    manifest.model_copy(update={"files": files}).write(bundle)
    arguments = ["selftest", str(bundle), "--runs", "1", "--backend", "onnxruntime"]
    assert main(arguments) == 1
    assert "head: boxes: relative difference to recorded outputs" in capsys.readouterr().out
    content["inputs_sha256"] = np.array("0" * 64)
    np.savez_compressed(path, **content)
    files = tuple(type(f).of(bundle, f.path, f.produced_by) for f in manifest.files)
    manifest.model_copy(update={"files": files}).write(bundle)
    assert main(arguments) == 3
    assert "generates other known inputs" in capsys.readouterr().out


def test_selftest_of_a_foreign_bundle_has_nothing_to_compare_with(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle / "manifest.json").unlink()
    for path in (bundle / "selftest").iterdir():
        path.unlink()
    assert main(["selftest", str(bundle), "--runs", "1", "--backend", "onnxruntime"]) == 1
    assert "no recorded outputs to compare with" in capsys.readouterr().out
