"""The pipeline of the GPU against that of the host, given the same sessions.

Kernels run emulated on the CPU, and on a GPU where there is one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from cuda_emulation import EmulatedContext, ReplayedCalls

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.detections import Detections
from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.errors import DeviceLostError, InferenceError, ParameterError, PointCloudError
from awml_deploy_core.points import PointCloudFrame, PointColumns, Sweep
from awml_deploy_core.runtime.cuda import CudaContext, program
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device.encoder import row_sizes
from awml_extractors.centerpoint.device.pipeline import DeviceCenterPointPipeline
from awml_extractors.centerpoint.device.settings import DeviceSettings
from awml_extractors.centerpoint.pipeline import STAGES, CenterPointPipeline
from awml_extractors.centerpoint.specs import BACKBONE_NECK_HEAD, VOXEL_ENCODER, component_specs

CONFIG = CenterPointConfig(
    class_names=("CAR", "PEDESTRIAN"),
    point_cloud_range=(0.0, 0.0, -2.0, 16.0, 8.0, 2.0),
    voxel_size=(1.0, 1.0, 4.0),
    max_voxels=40,
    pfn_channels=(4, 4),
)
SMALL = DeviceSettings(max_points=4096, max_sweeps=3, max_boxes=64)


class FakeSession:
    """A component that is arithmetic on its input, on the host."""

    backend = "fake"
    device: DeviceSpec = CPU

    def __init__(self, spec: ComponentSpec) -> None:
        self.spec = spec
        self.fails = self.failed = False
        self.closed = 0

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        if self.fails:
            self.failed = True
            raise InferenceError("component", "fails")
        (value,) = inputs.values()
        if self.spec.name == VOXEL_ENCODER:
            sums = value.sum(axis=1)
            return {self.spec.outputs[0].name: np.ascontiguousarray(sums[:, None, :4])}
        outputs = {}
        for index, tensor in enumerate(self.spec.outputs):
            maps = np.sin(value.sum(axis=1, keepdims=True) * (index + 1))
            outputs[tensor.name] = np.broadcast_to(maps, tensor.shape).astype(np.float32)
        return outputs

    def close(self) -> None:
        self.closed += 1


def sessions() -> dict[str, FakeSession]:
    encoder, head = component_specs(CONFIG)
    return {VOXEL_ENCODER: FakeSession(encoder), BACKBONE_NECK_HEAD: FakeSession(head)}


@pytest.fixture(params=["emulated", "emulated graphs", "gpu"])
def subject(request: pytest.FixtureRequest) -> Iterator[DeviceCenterPointPipeline]:
    if request.param == "gpu":
        context: CudaContext = request.getfixturevalue("gpu")
        made = DeviceCenterPointPipeline(CONFIG, sessions(), {}, SMALL, context=context)
    else:
        emulated = EmulatedContext(seed=1)
        graphs = request.param == "emulated graphs"
        if graphs:
            request.getfixturevalue("monkeypatch").setattr(program, "capture", ReplayedCalls)
        settings = DeviceSettings(max_points=4096, max_sweeps=3, max_boxes=64, graphs=graphs)
        made = DeviceCenterPointPipeline(
            CONFIG, sessions(), {}, settings, context=emulated.as_context(), load=emulated.load
        )
    yield made
    made.close()


def cloud(seed: int, count: int) -> PointColumns:
    generator = np.random.default_rng(seed)
    points = generator.uniform((-1, -1, -3), (17, 9, 3), (count, 3)).astype(np.float32)
    points[generator.random(count) < 0.01] = np.nan
    return PointColumns.from_array(points)


def frames() -> list[PointCloudFrame]:
    transform = np.eye(4)
    transform[:3, 3] = 0.5, -0.25, 0.0
    past = cloud(7, 300)
    return [
        PointCloudFrame.single(cloud(1, 900)),
        PointCloudFrame.single(cloud(2, 60)),
        PointCloudFrame((Sweep(cloud(3, 500)), Sweep(past, 0.1, transform))),
        PointCloudFrame((Sweep(cloud(4, 500)), Sweep(past, 0.2, transform), Sweep(cloud(5, 40), 0.3))),
        PointCloudFrame.single(cloud(1, 0)),
        PointCloudFrame(()),
        PointCloudFrame.single(PointColumns.from_array(np.full((5, 3), 99.0, np.float32))),
        PointCloudFrame.single(cloud(1, 900)),
    ]


def assert_same(found: Detections, expected: Detections) -> None:
    assert found.class_names == expected.class_names
    for name in ("centers", "sizes", "yaws", "velocities", "scores", "labels"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), strict=True)


@pytest.mark.parametrize("options", [{}, {"decoder": "mmdet3d"}], ids=["autoware", "mmdet3d"])
def test_detections_and_counts_are_those_of_the_host(
    subject: DeviceCenterPointPipeline, options: dict[str, Any]
) -> None:
    chosen, host = subject.with_options(options), CenterPointPipeline(CONFIG, sessions(), options)
    seen = 0
    for sample in frames():
        found, expected = chosen.infer(sample), host.infer(sample)
        assert_same(found.output, expected.output)
        assert found.counts == expected.counts
        assert tuple(found.latencies.as_dict()) == STAGES
        assert {stage.clock for stage in found.latencies.stages} == {"cuda"}
        seen += len(found.output)
    assert seen > 20


def test_options_change_between_frames(subject: DeviceCenterPointPipeline) -> None:
    sample = frames()[0]
    stricter = subject.with_options({"default_score_threshold": 0.7})
    host = CenterPointPipeline(CONFIG, sessions(), {})
    strict_host = host.with_options({"default_score_threshold": 0.7})
    assert stricter.sessions == subject.sessions
    for _ in range(2):
        assert_same(subject.infer(sample).output, host.infer(sample).output)
        assert_same(stricter.infer(sample).output, strict_host.infer(sample).output)
    assert len(stricter.infer(sample).output) < len(subject.infer(sample).output)


def test_options_that_the_kernels_cannot_take_are_refused_at_once(
    subject: DeviceCenterPointPipeline,
) -> None:
    limits = [float(limit) for limit in range(1, 41)]
    with pytest.raises(ParameterError, match="distance_bin_upper_limits: 40, at most 32"):
        subject.with_options({"distance_bin_upper_limits": limits})
    assert len(subject.infer(frames()[0]).output) > 0


def test_a_lost_device_is_told_from_a_failed_session(
    subject: DeviceCenterPointPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject.warm_up()
    head = subject.sessions[1]
    assert isinstance(head, FakeSession)
    head.fails = True

    def lost(*_: Any) -> None:
        if head.failed:
            raise DeviceLostError("cuda:0", "is lost")

    monkeypatch.setattr(subject.frame._context, "synchronize", lost)
    with pytest.raises(DeviceLostError):
        subject.infer(frames()[0])


def test_trace_keeps_every_components_tensors(subject: DeviceCenterPointPipeline) -> None:
    host = CenterPointPipeline(CONFIG, sessions(), {})
    for sample in frames()[:4]:
        (_, found), (_, expected) = subject.trace(sample), host.trace(sample)
        for ours, theirs in ((found.inputs, expected.inputs), (found.outputs, expected.outputs)):
            for component, tensors in theirs.items():
                for name, value in tensors.items():
                    np.testing.assert_array_equal(ours[component][name], value, strict=True)
    empty = PointCloudFrame(())
    assert subject.trace(empty)[1].inputs == host.trace(empty)[1].inputs == {}


def test_more_boxes_than_there_is_room_for_are_decoded_on_the_host(
    subject: DeviceCenterPointPipeline,
) -> None:
    loose = {"default_score_threshold": 0.0, "yaw_norm_thresholds": {"CAR": 0.0}}
    host = CenterPointPipeline(CONFIG, sessions(), loose)
    sample = frames()[0]
    assert_same(subject.with_options(loose).infer(sample).output, host.infer(sample).output)


def test_a_frame_that_fails_leaves_the_pipeline_usable(subject: DeviceCenterPointPipeline) -> None:
    expected = CenterPointPipeline(CONFIG, sessions(), {}).infer(frames()[0]).output
    subject.warm_up()
    with pytest.raises(PointCloudError, match="too many points; got 5000; expected at most 4096"):
        subject.infer(PointCloudFrame.single(cloud(1, 5000)))
    for session in subject.sessions:
        assert isinstance(session, FakeSession)
        session.fails = True
        with pytest.raises(InferenceError):
            subject.infer(frames()[0])
        session.fails = False
        assert_same(subject.infer(frames()[0]).output, expected)


def test_it_closes_its_sessions(subject: DeviceCenterPointPipeline) -> None:
    subject.close()
    subject.close()
    assert all(isinstance(session, FakeSession) and session.closed for session in subject.sessions)


@pytest.mark.parametrize(("least", "most"), [(1, 40_000), (1, 1), (30, 30), (7, 20), (1, 96_000)])
def test_sizes_of_the_encoder_cover_every_number_of_rows(least: int, most: int) -> None:
    sizes = row_sizes(least, most)
    assert list(sizes) == sorted(set(sizes))
    assert sizes[-1] == most
    assert sizes[0] >= least


def test_the_vehicle_path_imports_neither_torch_nor_onnx() -> None:
    code = (
        "import sys, awml_extractors.centerpoint.device.pipeline\n"
        "import awml_deploy_core.runtime.onnxruntime_backend, awml_deploy_core.runtime.tensorrt_backend\n"
        "print(sorted({'torch', 'onnx', 'cuda.bindings.driver'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
