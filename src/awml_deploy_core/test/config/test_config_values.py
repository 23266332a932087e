"""Values of another kind, out of bounds, or from the command line, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from awml_deploy_core.config import Step, load_config, only
from awml_deploy_core.errors import ConfigError

pytestmark = pytest.mark.usefixtures("toy")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("~no-such-user/x", "starts from the home of a user that is not known"),
        ("a\0b", "embedded null byte"),
        ("n" * 300, "cannot be reached: File name too long"),
        (5, "is not a path, got 5"),
        (None, "is not a path"),
        (" ", "is empty"),
    ],
)
def test_paths_that_cannot_be_are_problems_of_their_key(tmp_path: Path, path: object, problem: str) -> None:
    (tmp_path / "deploy.yaml").write_text(
        json.dumps({"name": "x", "model": {"family": "toy"}, "work_dir": path})
    )
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "deploy.yaml")
    assert any(f"work_dir: {problem}" in text for text in caught.value.problems)


def test_values_of_another_kind_are_told_without_names_of_classes(tmp_path: Path) -> None:
    content = {"name": "x", "model": 5, "work_dir": "w", "export": [], "verification": {"scenarios": 5}}
    (tmp_path / "deploy.yaml").write_text(json.dumps(content))
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "deploy.yaml")
    assert [text.partition(": ")[2] for text in caught.value.problems] == [
        "model: is not a section of key: value, got 5",
        "export: is not a section of key: value",
        "verification.scenarios: is not a list, got 5",
    ]


@pytest.mark.parametrize(
    "key",
    [
        "fp32.default.relative",
        "fp32.default.max_abs",
        "int8.outputs.heatmap.mean_abs",
        "fp16.boxes.position",
        "tf32.boxes.match_distance",
    ],
)
def test_a_limit_that_nothing_exceeds_is_none(tmp_path: Path, key: str) -> None:
    path = tmp_path / "deploy.yaml"
    path.write_text("name: x\nmodel: {family: toy}\nwork_dir: w\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, [f"verification.tolerances.{key}=.inf"])
    assert "input should be a finite number, got inf" in caught.value.problems[0]


def test_what_the_command_line_gave_is_not_looked_for_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deploy.yaml"
    path.write_text("name: x\nmodel: {family: toy}\nwork_dir: w\nruntime: {device: gpu, num_threads: 1}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, ["runtime.num_threads=-1", "infer.limit=0"])
    keys = ["line 4: runtime.device", "command line: runtime.num_threads", "command line: infer.limit"]
    assert all(text.startswith(f"{key}: ") for key, text in zip(keys, caught.value.problems, strict=True))


def test_what_is_wrong_is_not_also_said_to_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "deploy.yaml"
    path.write_text(
        "name: x\nmodel: {family: toy}\nwork_dir: w\ncheckpoint_path: 5\n"
        "verification: {scenarios: [{reference: pytorch, test: 'x:y'}], samples: [5]}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path, steps=only(Step.EXPORT, Step.VERIFY))
    assert len(caught.value.problems) == 3, caught.value.problems
