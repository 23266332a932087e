"""The commands on the toy family, with real ONNX export and both real backends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_family import ToyConfig, write_checkpoint

from awml_deploy_core.cli.main import main
from awml_deploy_core.exit_codes import ExitCode

pytestmark = pytest.mark.usefixtures("toy")


def report(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    assert content["schema_version"] == 1
    return content


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_run_then_everything_else_from_what_is_on_disk(
    deploy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(deploy)]) == 0
    shown = capsys.readouterr().out
    assert "boxes:" in shown
    assert "verification over 3 samples: passed" in shown
    ran = report(tmp_path / "out" / "reports" / "run.json")
    assert [item["component"] for item in ran["export"]] == ["encoder", "head"]
    assert ran["verification"]["status"] == "passed"
    assert ran["verification"]["num_samples"] == 3
    assert ran["verification"]["scenarios"][0]["boxes_matched"] > 0

    bundle = tmp_path / "out" / "bundle"
    assert main(["inspect", str(bundle), "--json", str(tmp_path / "i.json")]) == 0
    facts = report(tmp_path / "i.json")["facts"]
    assert facts["components"][0]["inputs"][0]["shape"] == ["num_points[1..64..4096]", 3]
    assert facts["provenance"]["checkpoint"]["name"] == "weights.pth"
    assert main(["inspect", str(deploy)]) == 0

    verify = ["verify", str(bundle), "--samples", str(tmp_path / "clouds")]
    assert main([*verify, "--checkpoint", str(tmp_path / "weights.pth"), "--num-samples", "1"]) == 0
    assert main([*verify]) == 2
    assert "checkpoint_path: is needed for pytorch:cpu" in capsys.readouterr().err

    pictures = tmp_path / "pictures"
    infer = [
        "infer",
        str(bundle),
        str(tmp_path / "clouds"),
        "--limit",
        "2",
        "--json",
        str(tmp_path / "d.json"),
    ]
    assert main([*infer, "--picture", str(pictures), "--score", "0.6"]) == 0
    frames = report(tmp_path / "d.json")["inference"]["frames"]
    assert [frame["sample"] for frame in frames] == ["cloud0", "cloud1"]
    assert all(box["score"] >= 0.6 for frame in frames for box in frame["detections"])
    assert set(frames[0]["latencies_ms"]) == {"decode", "encode", "backbone_head", "decode_boxes"}
    assert sorted(path.name for path in pictures.iterdir()) == ["cloud0.png", "cloud1.png"]

    np.save(tmp_path / "clouds" / "cloud1.npy", np.zeros(3, np.float32))
    capsys.readouterr()
    assert main([*infer]) == 2
    assert "1 frames on onnxruntime:cpu, 1 could not be run" in capsys.readouterr().out
    frames = report(tmp_path / "d.json")["inference"]["frames"]
    assert "wrong shape" in frames[1]["error"]
    assert frames[0]["detections"]

    foreign = tmp_path / "foreign"
    shutil.copytree(bundle, foreign)
    (foreign / "manifest.json").unlink()
    assert main(["inspect", str(foreign)]) == 0
    assert "foreign bundle" in capsys.readouterr().out
    assert main(["infer", str(foreign), str(tmp_path / "clouds" / "cloud0.npy")]) == 0
    assert "warning: foreign bundle" in capsys.readouterr().err

    (bundle / "head.onnx").write_bytes(b"corrupt")
    assert main(["inspect", str(bundle)]) == 2
    assert "head.onnx has 7 bytes" in capsys.readouterr().err
    assert main(["verify", str(deploy)]) == 2
    assert "head.onnx has 7 bytes" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_other_weights_fail_the_verification_and_say_why(
    deploy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    assert main(["export", str(deploy)]) == 0
    weights = torch.load(tmp_path / "weights.pth")
    weights["head.scores.bias"] += 0.5
    torch.save(weights, tmp_path / "weights.pth")
    assert main(["verify", str(deploy)]) == 1
    shown = capsys.readouterr()
    assert "first divergence: pytorch:cpu vs onnxruntime:cpu / cloud0 / head.scores" in shown.out
    assert "failed: bundle / checkpoint: exported from another checkpoint" in shown.out
    assert "bisect: head against its graph exported again: first diverging tensor" in shown.out


def test_wrong_checkpoint_is_one_clear_error(
    deploy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkpoint(tmp_path / "weights.pth", ToyConfig(channels=5))
    assert main(["export", str(deploy), "--json", str(tmp_path / "e.json")]) == 2
    err = capsys.readouterr().err
    assert "weights.pth: does not fit" in err
    assert "Traceback" not in err
    assert report(tmp_path / "e.json")["error"]["type"] == "CheckpointError"
    assert not (tmp_path / "out" / "bundle").exists()


@pytest.mark.parametrize("error", [AssertionError("impossible"), RecursionError("depth"), MemoryError()])
def test_a_bug_is_told_apart_from_a_failed_check(
    deploy: Path, error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("toy_family.ToyFamily.parse_config", broken)
    assert main(["export", str(deploy)]) == ExitCode.ERROR == 3
    err = capsys.readouterr().err
    assert "stopped by a bug" in err
    assert "Traceback (most recent call last)" in err
    assert type(error).__name__ in err


def test_what_the_system_refuses_is_no_bug(
    deploy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "/locked/file")

    monkeypatch.setattr("toy_family.ToyFamily.parse_config", refused)
    assert main(["export", str(deploy)]) == ExitCode.BAD_INPUT
    assert "error: /locked/file: is refused; got Permission denied" in capsys.readouterr().err


def test_unwritable_result_does_not_hide_the_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["inspect", str(tmp_path / "none"), "--json", str(tmp_path / "file" / "r.json")]) == 2
    err = capsys.readouterr().err
    assert "none: does not exist" in err
    assert "r.json: cannot be written" in err


@pytest.mark.parametrize("place", ["file/r.json", "folder"])
def test_an_unwritable_result_is_told_before_the_work(
    deploy: Path, tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    assert main(["export", str(deploy), "--json", str(tmp_path / place)]) == 2
    assert capsys.readouterr().err.count("cannot be written") == 1
    assert not (tmp_path / "out").exists()


def test_all_configuration_problems_are_printed_at_once(
    deploy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(deploy), "--set", "checkpoint_path=no.pth", "--set", "exprot.mode=onnx"]) == 2
    err = capsys.readouterr().err
    assert "unknown key (did you mean export?)" in err
    assert "checkpoint_path: does not exist" in err


def test_nothing_configured_is_refused(deploy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    off = ["--set", "export.mode=none", "--set", "verification.enabled=false"]
    assert main(["run", str(deploy), *off]) == 2
    assert "configures no step" in capsys.readouterr().err


def test_json_log_lines_and_json_on_standard_output(
    deploy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(deploy), "--log-format", "json", "--json", "-"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["command"] == "export"
    entries = [json.loads(line) for line in shown.err.splitlines()]
    assert {"wrote bundle", "loaded checkpoint"} <= {entry["message"] for entry in entries}


def test_interruption_has_its_exit_code(deploy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("awml_deploy_core.runner.deployment.DeploymentRunner.export", interrupt)
    assert main(["export", str(deploy)]) == 130


def test_debug_level_shows_the_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "none"), "--log-level", "debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["fly"], ["verify"], ["infer", "x", "--limit", "many"]])
def test_wrong_command_lines_exit_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_reference_needs_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path), "--reference", "pytorch"]) == 2
    assert "only given together" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_backends_of_the_command_line_are_the_only_scenario(deploy: Path, tmp_path: Path) -> None:
    assert main(["export", str(deploy)]) == 0
    backends = ["--reference", "onnxruntime", "--test", "pytorch:cpu"]
    assert main(["verify", str(deploy), *backends, "--json", str(tmp_path / "v.json")]) == 0
    (scenario,) = report(tmp_path / "v.json")["verification"]["scenarios"]
    assert scenario["name"] == "onnxruntime:cpu vs pytorch:cpu"
    assert (scenario["reference"], scenario["test"]) == ("onnxruntime:cpu", "pytorch:cpu")


def test_doctor_says_what_is_possible(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["doctor", "--json", str(tmp_path / "d.json")]) == 0
    assert "can infer" in capsys.readouterr().out
    abilities = {item["job"]: item for item in report(tmp_path / "d.json")["facts"]["abilities"]}
    assert abilities["infer"]["possible"]
    for finding in report(tmp_path / "d.json")["facts"]["findings"]:
        assert finding["found"] or finding["detail"]


@pytest.mark.parametrize("command", ["inspect", "verify", "infer", "export", "run"])
def test_a_target_that_cannot_be_looked_at_is_no_bug(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "n" * 300]) == 2
    assert "cannot be reached; got File name too long" in capsys.readouterr().err
