from __future__ import annotations

import os
from pathlib import Path

import pytest
from toy_family import BUNDLE_FILE, ToyConfig

from awml_deploy_core.artifacts.exchange import set_aside_path
from awml_deploy_core.config import Step, configured_steps, load_config, only
from awml_deploy_core.errors import ConfigError

pytestmark = pytest.mark.usefixtures("toy")


def problems(folder: Path, text: str, *steps: Step) -> list[str]:
    path = folder / "deploy.yaml"
    path.write_text("name: demo\nmodel: {family: toy}\nwork_dir: out\n" + text)
    try:
        load_config(path, (), only(*steps) if steps else configured_steps)
    except ConfigError as error:
        return list(error.problems)
    return []


def write_bundle_of_toy(folder: Path) -> None:
    """A foreign bundle of the toy family; its components are never opened."""
    folder.mkdir(parents=True)
    (folder / BUNDLE_FILE).write_text(ToyConfig().model_dump_json())
    for name in ("encoder.onnx", "head.onnx"):
        (folder / name).touch()


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    (tmp_path / "w.pth").write_bytes(b"weights")
    return "checkpoint_path: w.pth\n"


@pytest.mark.usefixtures("clouds")
def test_nothing_to_complain_about(tmp_path: Path, checkpoint: str) -> None:
    assert problems(tmp_path, checkpoint + "verification: {samples: [clouds]}\n") == []


def test_only_the_steps_that_run_are_checked(tmp_path: Path, checkpoint: str) -> None:
    assert problems(tmp_path, checkpoint, Step.EXPORT) == []
    assert problems(tmp_path, checkpoint + "verification: {enabled: false}\n") == []
    assert problems(tmp_path, checkpoint) == [
        "verification.samples: is empty; name clouds, folders of clouds or bags"
    ]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda p: None, "does not exist"),
        (lambda p: p.mkdir(), "is not a file"),
        (lambda p: p.touch(), "is empty"),
    ],
)
def test_bad_checkpoints(tmp_path: Path, make: object, expected: str) -> None:
    make(tmp_path / "w.pth")  # type: ignore[operator]
    (found,) = problems(tmp_path, "checkpoint_path: w.pth\n", Step.EXPORT)
    assert found.startswith("line 4: checkpoint_path: " + expected)


def test_unset_checkpoint_names_its_user(tmp_path: Path) -> None:
    assert problems(tmp_path, "", Step.EXPORT) == ["checkpoint_path: is needed for export"]


@pytest.mark.usefixtures("clouds")
def test_verifying_alone_needs_bundle_and_checkpoint(tmp_path: Path) -> None:
    found = problems(tmp_path, "verification: {samples: [clouds]}\n", Step.VERIFY)
    assert found[0] == "checkpoint_path: is needed for pytorch:cpu"
    assert "there is no bundle at" in found[1]


@pytest.mark.usefixtures("clouds")
@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("num_samples: 0", "num_samples: is 0, which checks nothing"),
        ("levels: []", "levels: is empty"),
        (
            "tolerances: {default: {default: {relative: 1}}}",
            "verification.tolerances.default: input should be 'fp32'",
        ),
        (
            "scenarios_by_mode: {onnx: [{reference: pytorch, test: pytorch}]}",
            "scenarios_by_mode.onnx.0: compares pytorch:cpu with itself",
        ),
        ("scenarios: [{reference: pytorch, test: pytorch}]", "compares pytorch:cpu with itself"),
        (
            "scenarios: [{reference: pytorch, test: onnxruntime},{reference: pytorch, test: onnxruntime}]",
            "2 scenarios have the name",
        ),
        (
            "tolerances: {fp16: {outputs: {scoers: {relative: 1}}}}",
            "is not an output of the model (outputs: boxes",
        ),
        ("scenarios: [{reference: pytorch, test: onxruntime, required: false}]", "unknown backend"),
    ],
)
def test_contradictions(tmp_path: Path, checkpoint: str, section: str, expected: str) -> None:
    found = problems(tmp_path, checkpoint + f"verification: {{samples: [clouds], {section}}}\n")
    assert len(found) == 1
    assert expected in found[0]


@pytest.mark.usefixtures("clouds")
def test_unusable_backend_stops_only_a_required_scenario(tmp_path: Path, checkpoint: str) -> None:
    text = checkpoint + (
        "verification: {{samples: [clouds], "
        "scenarios: [{{reference: pytorch, test: onnxruntime:cuda:97, required: {}}}]}}\n"
    )
    (found,) = problems(tmp_path, text.format("true"))
    assert "onnxruntime:cuda:97 cannot run here" in found
    assert "required: false" in found
    assert problems(tmp_path, text.format("false")) == []


def test_samples_must_exist_and_hold_something(tmp_path: Path, checkpoint: str) -> None:
    (tmp_path / "empty").mkdir()
    found = problems(tmp_path, checkpoint + "verification: {samples: [empty, none.npy]}\n")
    assert "samples.0: holds no samples" in found[0]
    assert "samples.1" in found[1]


def test_inference_needs_source_and_bundle(tmp_path: Path) -> None:
    found = problems(tmp_path, "", Step.INFER)
    assert "there is no bundle" in found[0]
    assert found[1].startswith("infer.source: is empty")


@pytest.mark.usefixtures("clouds")
def test_a_bundle_set_aside_by_a_crash_is_brought_back(tmp_path: Path) -> None:
    bundle = tmp_path / "out" / "bundle"
    write_bundle_of_toy(set_aside_path(bundle))
    assert problems(tmp_path, "infer: {source: clouds}\n", Step.INFER) == []
    assert bundle.is_dir()


@pytest.mark.usefixtures("clouds")
@pytest.mark.parametrize("steps", [(), (Step.VERIFY,), (Step.INFER,), (Step.VERIFY, Step.INFER)])
def test_run_time_options_are_checked_before_running(
    tmp_path: Path, checkpoint: str, steps: tuple[Step, ...]
) -> None:
    if steps:
        write_bundle_of_toy(tmp_path / "out" / "bundle")
    text = checkpoint + (
        "verification: {samples: [clouds]}\ninfer: {source: clouds}\nruntime: {options: {treshold: 0.5}}\n"
    )
    (found,) = problems(tmp_path, text, *steps)
    assert found.startswith("line 7: runtime.options: ")
    assert "treshold" in found
    assert problems(tmp_path, text.replace("treshold", "threshold"), *steps) == []


@pytest.mark.usefixtures("clouds")
def test_run_time_options_are_checked_without_a_bundle(tmp_path: Path, checkpoint: str) -> None:
    text = checkpoint + "infer: {source: clouds}\nruntime: {options: {treshold: 0.5}}\n"
    found = problems(tmp_path, text, Step.INFER)
    assert len(found) == 2
    assert "treshold" in found[1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_target_is_found_before_exporting(tmp_path: Path, checkpoint: str) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    found = problems(tmp_path, checkpoint + "bundle_path: locked/bundle\n", Step.EXPORT)
    assert "may not write" in found[0]


def test_file_in_the_way_of_the_bundle(tmp_path: Path, checkpoint: str) -> None:
    (tmp_path / "out").write_text("")
    assert "is a file, not a folder" in problems(tmp_path, checkpoint, Step.EXPORT)[0]


def test_a_folder_of_something_else_is_found_before_exporting(tmp_path: Path, checkpoint: str) -> None:
    (tmp_path / "photos").mkdir()
    assert problems(tmp_path, checkpoint + "bundle_path: photos\n", Step.EXPORT) == []
    (tmp_path / "photos" / "cat.png").touch()
    (problem,) = problems(tmp_path, checkpoint + "bundle_path: photos\n", Step.EXPORT)
    assert problem.startswith("line 5: bundle_path: ")
    assert "will not be replaced" in problem


def test_missing_packages_are_named_before_exporting(
    tmp_path: Path, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("awml_deploy_core.config.preflight.EXPORT_PACKAGES", ("torch_is_not_here",))
    assert "pip install torch_is_not_here" in problems(tmp_path, checkpoint, Step.EXPORT)[0]
