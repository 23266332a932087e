"""The shipped model beside a reference of another backend: agreement, disagreement, self-test, evidence."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from conftest import ROOT
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.centerpoint_node import CenterPointNode
from awml_deploy_ros.frame import NO_TRANSPORT
from awml_deploy_ros.model import OpenModel, open_bundle
from awml_deploy_ros.process import FatalErrors
from awml_deploy_ros.settings import NodeSettings

MODEL = ROOT / "models" / "centerpoint_demo"
TIMEOUT_S = 300.0
"""The reference runs only where nobody else wants the processor."""


class Shifted:
    """A live pipeline with a bug: every box lies half a metre to the side."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)

    def with_options(self, options: Any) -> Shifted:
        return Shifted(self._pipeline.with_options(options))

    def infer(self, sample: Any) -> Any:
        result = self._pipeline.infer(sample)
        output = replace(result.output, centers=result.output.centers + np.float32([0, 0.45, 0]))
        return result._replace(output=output)


def shifted(settings: NodeSettings) -> OpenModel:
    model = open_bundle(settings)
    return replace(model, pipeline=Shifted(model.pipeline))  # type: ignore[arg-type]


@pytest.fixture
def clouds(short_bag: Path) -> list[Any]:
    messages = CloudTopic.find(short_bag).messages()
    return [deserialize_message(data, PointCloud2) for _, data in zip(range(3), messages, strict=False)]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., CenterPointNode]]:
    """Starts an active node; ends it in the end and requires that nothing unexpected happened."""
    rclpy.init(args=[])
    nodes: list[CenterPointNode] = []

    def make(open_model: Any = open_bundle, **values: Any) -> CenterPointNode:
        chosen = {
            "model_path": str(MODEL / "bundle"),
            "checkpoint_path": str(MODEL / "checkpoint.pth"),
            "evidence_folder": str(tmp_path / "evidence"),
            "snippets.folder": str(tmp_path / "snippets"),
            "snippets.seconds_after": 0.1,
            **values,
        }
        overrides = [Parameter(name, value=value) for name, value in chosen.items()]
        node = CenterPointNode(FatalErrors(), open_model=open_model, parameter_overrides=overrides)
        nodes.append(node)
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        return node

    yield make
    for node in nodes:
        node.close()
        node.destroy_node()
        assert node.fatal.error is None
    rclpy.try_shutdown()


def feed_until(node: CenterPointNode, clouds: list[Any], condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, node.companions.reports()
        for cloud in clouds:
            node._stream._on_cloud(cloud, NO_TRANSPORT)
            time.sleep(0.2)


SHADOW = {"shadow.every_n": 1, "shadow.max_rate_hz": 10.0, "shadow.max_share": 1.0}


def test_another_backend_agrees_with_the_live_one(start, clouds) -> None:
    node = start(**SHADOW, **{"shadow.backend": "pytorch"})
    state = node.companions.shadow
    feed_until(node, clouds, lambda: state.state.counters.compared >= 3)
    assert (state.state.counters.disagreed, state.state.counters.failed) == (0, 0), state.state
    assert "boxes matched one to one" in state.state.last_result


def test_a_wrong_live_backend_is_found_and_its_frame_kept(start, clouds, tmp_path: Path) -> None:
    node = start(shifted, **SHADOW)
    companions = node.companions
    feed_until(node, clouds, lambda: companions.snippets.state.written >= 1)
    assert companions.shadow.state.counters.agreed == 0
    assert "position of" in companions.shadow.state.last_disagreement
    (snippet,) = (tmp_path / "snippets").iterdir()
    assert snippet.name.endswith("_disagreement")
    assert {path.name for path in snippet.iterdir()} == {
        *("bag", "manifest.json", "parameters.yaml", "provenance.json", "snippet.json")
    }
    details = json.loads((snippet / "snippet.json").read_text())["details"]
    assert len(details["live_boxes"]) == len(details["reference_boxes"]) > 0
    # The very frame is in the bag, and the manifest says which model to run on it.
    assert CloudTopic.find(snippet / "bag").count > 0
    manifest = ModelBundle.open(MODEL / "bundle").manifest
    assert json.loads((snippet / "manifest.json").read_text()) == manifest.model_dump(mode="json")


def test_self_test_and_evidence_of_a_running_node(start, clouds) -> None:
    node = start()
    feed_until(node, clouds, lambda: node.ledger.counters.snapshot().processed >= 3)
    _, message = node._slow_services.self_test()
    # Skipped where the bundle has no recorded outputs, which is no pass.
    assert "0 failed" in message
    assert "0 error" in message
    pack = Path(node._slow_services.write_evidence()[1])
    latencies = {entry["name"]: entry for entry in json.loads((pack / "latency.json").read_text())}
    assert latencies["backbone_head"]["count"] >= 3
    assert json.loads((pack / "manifest.json").read_text())["family"] == "centerpoint"
