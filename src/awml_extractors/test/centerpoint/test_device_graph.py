"""One graph a frame, networks included, on a real GPU; skipped visibly where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from random_clouds import random_points

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.detections import Detections
from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.points import PointCloudFrame, PointColumns, Sweep
from awml_deploy_core.runtime import SessionOptions, SessionSource, load_backend
from awml_deploy_core.runtime.cuda import CudaContext
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device.pipeline import DeviceCenterPointPipeline
from awml_extractors.centerpoint.device.settings import DeviceSettings, EncoderRows
from awml_extractors.centerpoint.pipeline import CenterPointPipeline
from awml_extractors.centerpoint.variants import parse_config

torch = pytest.importorskip("torch")

FIELDS = ("centers", "sizes", "yaws", "velocities", "scores", "labels")
SETTINGS = DeviceSettings(max_points=300_000, max_sweeps=3)


class ReplaySession:
    """Gives what another session gave."""

    backend, device = "replay", CPU

    def __init__(self, spec: ComponentSpec, outputs: Mapping[str, np.ndarray]) -> None:
        self.spec = spec
        self._outputs = outputs

    def run(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return dict(self._outputs)

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def config() -> CenterPointConfig:
    return parse_config({"variant": "demo"})


def sessions(config: CenterPointConfig, precision: str) -> dict[str, Any]:
    from random_weights import random_model

    from awml_extractors.centerpoint.extractor import CenterPointComponentExtractor

    backend = load_backend("pytorch")
    state = backend.availability(DeviceSpec("cuda"))
    if not state:
        pytest.skip(f"needs a GPU: {state.detail}")
    options = SessionOptions(extra={"pytorch": {"precision": precision}})
    made = {}
    for component in CenterPointComponentExtractor(config).extract(random_model(config)):
        source = SessionSource(component.spec, load_module=lambda module=component.module: module)
        made[component.spec.name] = backend.open_session(source, DeviceSpec("cuda"), options)
    return made


@pytest.fixture(params=["fp32", "fp16"])
def opened(
    request: pytest.FixtureRequest, gpu: CudaContext, config: CenterPointConfig
) -> Iterator[DeviceCenterPointPipeline]:
    with DeviceCenterPointPipeline(config, sessions(config, request.param), {}, SETTINGS) as pipeline:
        yield pipeline


def frames() -> list[PointCloudFrame]:
    pose = np.eye(4)
    pose[:3, 3] = 0.5, -0.2, 0.01
    past = PointColumns.from_array(random_points(30_000, 9))
    found = [
        PointCloudFrame.single(PointColumns.from_array(random_points(count, seed)))
        for seed, count in enumerate((60_000, 100, 120_000, 0, 5_000, 60_000))
    ]
    current = PointColumns.from_array(random_points(60_000, 0))
    return [*found, *(PointCloudFrame((Sweep(current), Sweep(past, 0.1 * k, pose))) for k in (1, 2))]


def assert_same(found: Detections, expected: Detections) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_a_frame_is_one_graph_and_gives_what_the_host_makes_of_its_tensors(
    opened: DeviceCenterPointPipeline, config: CenterPointConfig
) -> None:
    boxes = 0
    for sample in frames():
        found, tap = opened.trace(sample)
        again = opened.infer(sample)
        assert_same(again.output, found.output)
        assert again.counts == found.counts
        if found.counts["pillars"]:
            replayed: dict[str, Any] = {
                session.spec.name: ReplaySession(session.spec, tap.outputs[session.spec.name])
                for session in opened.sessions
            }
            expected, host_tap = CenterPointPipeline(config, replayed, {}).trace(sample)
            assert_same(found.output, expected.output)
            assert found.counts == expected.counts
            for component, tensors in host_tap.inputs.items():
                for name, value in tensors.items():
                    np.testing.assert_array_equal(tap.inputs[component][name], value)
        boxes += len(found.output)
    assert boxes > 10
    assert (opened.frame.graph_count, opened.frame.encoder_rows) == (1, "device")


@pytest.mark.parametrize("rows", ["device", "host", "full"])
def test_every_way_to_find_the_rows_gives_the_same_boxes(
    gpu: CudaContext, config: CenterPointConfig, rows: EncoderRows
) -> None:
    settings = DeviceSettings(max_points=300_000, max_sweeps=3, encoder_rows=rows)
    with DeviceCenterPointPipeline(config, sessions(config, "fp32"), {}, settings) as pipeline:
        once = [pipeline.infer(sample) for sample in frames()]
        twice = [pipeline.infer(sample) for sample in frames()]
        assert pipeline.frame.encoder_rows == rows
    with DeviceCenterPointPipeline(config, sessions(config, "fp32"), {}, SETTINGS) as reference:
        for first, second, sample in zip(once, twice, frames(), strict=True):
            assert_same(first.output, second.output)
            expected = reference.infer(sample).output
            # Libraries may choose another algorithm for another number of rows.
            assert abs(len(first.output) - len(expected)) <= 1 + 0.02 * len(expected)


def test_the_network_alone_on_the_gpu_gives_the_same(
    opened: DeviceCenterPointPipeline, config: CenterPointConfig
) -> None:
    """The host's pipeline over the same sessions, which then run on host arrays."""
    host = CenterPointPipeline(config, {session.spec.name: session for session in opened.sessions}, {})
    sample = frames()[0]
    found, expected = opened.infer(sample).output, host.infer(sample).output
    assert len(found) > 5
    # Rows that are padding may make libraries choose another algorithm, which rounds otherwise.
    assert abs(len(found) - len(expected)) <= 0.05 * len(expected)
    # What ran on host arrays must not have disturbed the graph.
    assert_same(opened.infer(sample).output, found)
