"""The pipeline of the GPU against that of the host, given the same session.

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
from yolox_images import config_of, output_of

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.detections2d import Detections2D
from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.errors import ConfigError, DeviceLostError, ImageError, InferenceError, ParameterError
from awml_deploy_core.images import Image
from awml_deploy_core.runtime.cuda import CudaContext, program
from awml_extractors.yolox import pipeline_choice
from awml_extractors.yolox.device.frame import DeviceSettings
from awml_extractors.yolox.device.pipeline import DeviceYoloxPipeline
from awml_extractors.yolox.pipeline import STAGES, YoloxPipeline
from awml_extractors.yolox.probe import probes
from awml_extractors.yolox.specs import DETECTOR, component_spec

CONFIG = config_of((64, 96), 2)
BATCHES = {"one": CONFIG, "dynamic": config_of((64, 96), 2, batch_size=(2, 3, 4))}
OPTIONS = {"score_threshold": 0.2, "nms_threshold": 0.4}
SCENES = ("noise", "ties", "pile", "broken", "empty")


class FakeSession:
    """A network whose output follows from the sum of the first image, on the host."""

    backend = "fake"
    device: DeviceSpec = CPU

    def __init__(self, spec: ComponentSpec, config: Any = CONFIG) -> None:
        self.spec = spec
        self.config = config
        self.fails = self.failed = False
        self.closed = 0

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        if self.fails:
            self.failed = True
            raise InferenceError("component", "fails")
        (value,) = inputs.values()
        assert not value[1:].any()
        seed = int(value[0].sum(dtype=np.float64)) % 10_007
        output = output_of(self.config, SCENES[seed % len(SCENES)], seed)
        return {self.spec.outputs[0].name: np.repeat(output[None], len(value), axis=0)}

    def close(self) -> None:
        self.closed += 1


def session_of(config: Any = CONFIG) -> dict[str, FakeSession]:
    return {DETECTOR: FakeSession(component_spec(config), config)}


@pytest.fixture(params=["emulated", "emulated graphs", "gpu"])
def made(request: pytest.FixtureRequest) -> Any:
    """Opens a pipeline of the GPU for a configuration, and for sessions where those are given."""
    if request.param == "gpu":
        context: CudaContext = request.getfixturevalue("gpu")
        return lambda config, sessions=None: DeviceYoloxPipeline(
            config,
            sessions or session_of(config),
            OPTIONS,
            DeviceSettings(max_boxes=200),
            context=context,
        )
    emulated = EmulatedContext(seed=1)
    graphs = request.param == "emulated graphs"
    if graphs:
        request.getfixturevalue("monkeypatch").setattr(program, "capture", ReplayedCalls)
    settings = DeviceSettings(max_boxes=200, graphs=graphs)
    return lambda config, sessions=None: DeviceYoloxPipeline(
        config,
        sessions or session_of(config),
        OPTIONS,
        settings,
        context=emulated.as_context(),
        load=emulated.load,
    )


@pytest.fixture
def subject(made: Any) -> Iterator[DeviceYoloxPipeline]:
    with made(CONFIG) as pipeline:
        yield pipeline


def images() -> list[Image]:
    rng = np.random.default_rng(0)
    sizes = ((64, 96), (128, 192), (50, 40), (33, 200), (64, 96), (10, 12), (64, 96), (300, 200))
    return [Image(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]


def assert_same(found: Detections2D, expected: Detections2D) -> None:
    assert found.class_names == expected.class_names
    for name in ("boxes", "scores", "labels"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), strict=True)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("decoder", ["mmdet", "autoware"])
def test_detections_and_counts_are_those_of_the_host(made: Any, batch: str, decoder: str) -> None:
    config = BATCHES[batch]
    host = YoloxPipeline(config, session_of(config), {**OPTIONS, "decoder": decoder})
    seen = 0
    with made(config).with_options({"decoder": decoder}) as chosen:
        for image in images():
            found, expected = chosen.infer(image), host.infer(image)
            assert_same(found.output, expected.output)
            assert found.counts == expected.counts
            assert tuple(found.latencies.as_dict()) == STAGES
            assert {stage.clock for stage in found.latencies.stages} == {"cuda"}
            seen += len(found.output)
    assert seen > 50


class KnownSession(FakeSession):
    """Gives the output of a probe, whatever it is fed."""

    output: np.ndarray

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {self.spec.outputs[0].name: self.output}


def test_known_boxes_come_back(made: Any) -> None:
    """Boxes that are not made with the code that decodes them."""
    config = config_of((160, 192), 2)
    session = KnownSession(component_spec(config))
    opened = made(config, {DETECTOR: session})
    boxes = 0
    for probe in probes(config):
        session.output = probe.outputs[DETECTOR]["output"]
        found = opened.with_options(probe.options).infer(probe.input).output
        np.testing.assert_array_equal(found.labels, probe.expected.labels)
        np.testing.assert_allclose(found.boxes, probe.expected.boxes, atol=2e-3)
        np.testing.assert_allclose(found.scores, probe.expected.scores, rtol=1e-6)
        boxes += len(found)
    assert boxes > 30
    opened.close()


def test_options_change_between_images(subject: DeviceYoloxPipeline) -> None:
    image = images()[0]
    stricter = subject.with_options({"score_threshold": 0.6})
    host = YoloxPipeline(CONFIG, session_of(), OPTIONS)
    strict_host = host.with_options({"score_threshold": 0.6})
    assert stricter.sessions == subject.sessions
    for _ in range(2):
        assert_same(subject.infer(image).output, host.infer(image).output)
        assert_same(stricter.infer(image).output, strict_host.infer(image).output)
    assert stricter.infer(image).counts["boxes_decoded"] < subject.infer(image).counts["boxes_decoded"]


def test_trace_keeps_the_tensors(made: Any) -> None:
    config = BATCHES["dynamic"]
    host = YoloxPipeline(config, session_of(config), OPTIONS)
    with made(config) as pipeline:
        for image in images()[:3]:
            (_, found), (_, expected) = pipeline.trace(image), host.trace(image)
            for ours, theirs in ((found.inputs, expected.inputs), (found.outputs, expected.outputs)):
                for name, value in theirs[DETECTOR].items():
                    np.testing.assert_array_equal(ours[DETECTOR][name], value, strict=True)


def test_more_boxes_than_there_is_room_for_are_decoded_on_the_host(subject: DeviceYoloxPipeline) -> None:
    loose = {"score_threshold": 0.0, "decoder": "autoware"}
    host = YoloxPipeline(CONFIG, session_of(), {**OPTIONS, **loose})
    for image in images():
        found, expected = subject.with_options(loose).infer(image), host.infer(image)
        assert_same(found.output, expected.output)
        assert found.counts == expected.counts


def test_an_image_that_fails_leaves_the_pipeline_usable(subject: DeviceYoloxPipeline) -> None:
    expected = YoloxPipeline(CONFIG, session_of(), OPTIONS).infer(images()[0]).output
    subject.warm_up()
    with pytest.raises(ImageError, match="too narrow"):
        subject.infer(Image(np.zeros((4000, 1, 3), np.uint8)))
    (session,) = subject.sessions
    assert isinstance(session, FakeSession)
    session.fails = True
    with pytest.raises(InferenceError):
        subject.infer(images()[0])
    session.fails = False
    assert_same(subject.infer(images()[0]).output, expected)


def test_a_lost_device_is_told_from_a_failed_session(
    subject: DeviceYoloxPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject.warm_up()
    (session,) = subject.sessions
    assert isinstance(session, FakeSession)
    session.fails = True

    def lost(*_: Any) -> None:
        if session.failed:
            raise DeviceLostError("cuda:0", "is lost")

    monkeypatch.setattr(subject.frame._context, "synchronize", lost)
    with pytest.raises(DeviceLostError):
        subject.infer(images()[0])


def test_it_closes_its_session(subject: DeviceYoloxPipeline) -> None:
    subject.close()
    subject.close()
    (session,) = subject.sessions
    assert isinstance(session, FakeSession)
    assert session.closed


def test_nothing_is_allocated_after_the_first_image() -> None:
    emulated = EmulatedContext()
    pipeline = DeviceYoloxPipeline(
        CONFIG,
        session_of(),
        OPTIONS,
        DeviceSettings(graphs=False),
        context=emulated.as_context(),
        load=emulated.load,
    )
    pipeline.warm_up()
    count = len(emulated._blocks)
    for image in images():
        pipeline.infer(image)
    assert len(emulated._blocks) == count


class GpuSession(FakeSession):
    capturable = captures_shapes = True

    def bind(self, spans: Any) -> None:
        raise NotImplementedError

    def set_shapes(self, shapes: Any) -> Any:
        raise NotImplementedError

    def enqueue(self, stream: int) -> None:
        raise NotImplementedError


def test_the_choice_follows_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    from awml_extractors.yolox.device import pipeline as device_pipeline

    class Made:
        def __init__(self, *_: Any) -> None:
            pass

    monkeypatch.setattr(device_pipeline, "DeviceYoloxPipeline", Made)
    of_gpu: Any = GpuSession(component_spec(CONFIG))
    of_gpu.device = DeviceSpec("cuda")
    for session, option, expected in (
        (of_gpu, "auto", Made),
        (of_gpu, "host", YoloxPipeline),
        (FakeSession(component_spec(CONFIG)), "auto", YoloxPipeline),
        (FakeSession(component_spec(CONFIG)), "device", Made),
    ):
        pipeline = pipeline_choice.create_pipeline(CONFIG, {DETECTOR: session}, {"pipeline": option})
        assert isinstance(pipeline, expected)
    opened = pipeline_choice.create_pipeline(CONFIG, session_of(), {})
    assert opened.with_options({"pipeline": "auto"}).options == opened.options
    with pytest.raises(ParameterError, match="cannot change while the model is open"):
        opened.with_options({"pipeline": "device"})
    with pytest.raises(ConfigError, match="sessions are missing"):
        pipeline_choice.create_pipeline(CONFIG, {}, {})


def test_the_vehicle_path_imports_neither_torch_nor_onnx() -> None:
    code = (
        "import sys, awml_extractors.yolox.device.pipeline\n"
        "print(sorted({'torch', 'onnx', 'cuda.bindings.driver'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
