"""The node's parameter file, read without the node."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness_paths import REPOSITORY

from awml_deploy_core.errors import ArtifactError, ParameterError
from awml_deploy_ros.replay.node_settings import read_node_values

SHIPPED = REPOSITORY / "config" / "centerpoint" / "node.param.yaml"
MODEL = {"model_path": "/bundle"}


def written(tmp_path: Path, text: str, node: str = "/**") -> Path:
    path = tmp_path / "node.param.yaml"
    path.write_text(f"{node}:\n  ros__parameters:\n    {text}\n")
    return path


def test_the_shipped_file_is_what_a_node_is_given() -> None:
    values = read_node_values(SHIPPED, {**MODEL, "device": "cuda:1"})
    assert values.settings.densification.num_past_frames == 1
    assert values.settings.field_mapping["y"] == "y"
    assert values.settings.device == "cuda:1"
    assert values.options == {}


@pytest.mark.parametrize("node", ["/**", "centerpoint", "/centerpoint"])
def test_options_of_the_pipeline_are_taken(tmp_path: Path, node: str) -> None:
    text = "detection_score_thresholds: {min_confidence_scores: {CAR: [0.2, 0.3]}}"
    assert read_node_values(written(tmp_path, text, node), MODEL).options == {
        "min_confidence_scores": {"CAR": [0.2, 0.3]}
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("num_threads: many", "num_threads: 'many', expected int"),
        ("warm_up_frames: true", "warm_up_frames: True, expected int"),
        ("latency_windw: 5", "latency_windw: the node has no such parameter"),
        ("densification_params: {tf_timeout_ms: 50}", "expected double"),
        ("warm_up_frames: 0", "warm_up_frames: 0 is outside"),
    ],
)
def test_what_the_node_would_refuse_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        read_node_values(written(tmp_path, text), MODEL)


@pytest.mark.parametrize("text", ["", "[1, 2]\n", "other:\n  ros__parameters: {a: 1}\n", "{\n", "/**: 5\n"])
def test_what_is_no_parameter_file_is_one_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "node.param.yaml"
    path.write_text(text)
    with pytest.raises(ParameterError, match="not a ROS parameter file"):
        read_node_values(path, MODEL)
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_node_values(tmp_path / "nowhere.yaml", MODEL)
