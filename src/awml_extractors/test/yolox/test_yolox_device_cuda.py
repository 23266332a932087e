"""Decoding, suppression and a whole image on a GPU: bit for bit what the CPU does; skipped visibly without
one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from yolox_images import SCENES, assert_same_image, config_of, decoded, on_cpu, output_of, uploaded

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.images import Image
from awml_deploy_core.runtime import SessionOptions, SessionSource, load_backend
from awml_deploy_core.runtime.cuda import CudaContext, capture
from awml_extractors.yolox.config import parse_config
from awml_extractors.yolox.device.decoder import DeviceDecoder
from awml_extractors.yolox.device.pipeline import DeviceYoloxPipeline
from awml_extractors.yolox.options import YoloxOptions
from awml_extractors.yolox.pipeline import YoloxPipeline
from awml_extractors.yolox.pipeline_choice import create_pipeline
from awml_extractors.yolox.specs import DETECTOR, component_spec

OPTIONS = {
    "mmdet": YoloxOptions(score_threshold=0.05),
    "autoware": YoloxOptions(decoder="autoware", score_threshold=0.3, max_detections=1000),
}


@pytest.mark.parametrize("decoder", OPTIONS)
@pytest.mark.parametrize("scene", SCENES)
def test_bit_for_bit(gpu: CudaContext, scene: str, decoder: str) -> None:
    for size, classes in (((32, 32), 1), ((160, 192), 3), ((416, 640), 8), ((320, 320), 80)):
        config = config_of(size, classes)
        output = output_of(config, scene, classes)
        memory = uploaded(gpu, output)
        device = DeviceDecoder(gpu, config, OPTIONS[decoder], memory, 16384)
        expected = on_cpu(config, OPTIONS[decoder], output)
        for _ in range(5):
            assert_same_image(decoded(gpu, device), expected)


@pytest.mark.parametrize("decoder", OPTIONS)
def test_a_captured_graph_replays_with_whatever_options_are_set(gpu: CudaContext, decoder: str) -> None:
    config = parse_config({})
    outputs = [output_of(config, "noise", seed) for seed in range(3)]
    for output in outputs:
        # Of 18,900 cells about 3,700 are certain of anything.
        output[np.random.default_rng(0).random(len(output)) < 0.8, 4] = 0.0
    memory = uploaded(gpu, outputs[0])
    device = DeviceDecoder(gpu, config, OPTIONS[decoder], memory, 32768)

    def enqueue(stream: int) -> None:
        device.decode(stream)
        device.suppress(stream)

    enqueue(gpu.stream)
    graph = capture(gpu, gpu.stream, enqueue)
    for output in outputs:
        gpu.upload(memory.address, output)
        for chosen in (OPTIONS[decoder], OPTIONS[decoder].merged({"nms_threshold": 0.3})):
            device.set_options(chosen)
            expected = on_cpu(config, chosen, output)
            for _ in range(3):
                graph.launch(gpu.stream)
                gpu.synchronize()
                found = device.results()
                assert_same_image(found, expected)
                assert not found.on_host
            assert expected.boxes_decoded > 3000
            assert len(expected.kept) == chosen.max_detections
    graph.close()


def test_too_many_candidates_are_decoded_on_the_host(gpu: CudaContext) -> None:
    config = config_of((320, 320), 8)
    output = output_of(config, "noise", 0)
    device = DeviceDecoder(gpu, config, OPTIONS["autoware"], uploaded(gpu, output), 100)
    found = decoded(gpu, device)
    assert found.on_host
    assert_same_image(found, on_cpu(config, OPTIONS["autoware"], output))


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


@pytest.mark.parametrize("batch", [1, (2, 3, 4)])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_an_image_is_one_graph_and_gives_what_the_host_makes_of_its_tensors(
    gpu: CudaContext, precision: str, batch: Any
) -> None:
    pytest.importorskip("torch")
    from yolox_weights import SMALL, make_model

    raw = {**SMALL, "batch_size": batch, "options": {"score_threshold": 0.3}}
    config = parse_config(raw)
    backend = load_backend("pytorch")
    if not (state := backend.availability(DeviceSpec("cuda"))):
        pytest.skip(f"needs a GPU: {state.detail}")
    source = SessionSource(component_spec(config), load_module=lambda: make_model(raw))
    options = SessionOptions(extra={"pytorch": {"precision": precision}})
    boxes = 0
    with create_pipeline(
        config, {DETECTOR: backend.open_session(source, DeviceSpec("cuda"), options)}, {}
    ) as pipeline:
        assert isinstance(pipeline, DeviceYoloxPipeline)
        for image in images():
            found, tap = pipeline.trace(image)
            again = pipeline.infer(image)
            assert again.counts == found.counts
            np.testing.assert_array_equal(again.output.boxes, found.output.boxes)
            replayed: Any = {DETECTOR: ReplaySession(component_spec(config), tap.outputs[DETECTOR])}
            expected, host_tap = YoloxPipeline(config, replayed, {}).trace(image)
            assert found.counts == expected.counts
            for name in ("boxes", "scores", "labels"):
                np.testing.assert_array_equal(getattr(found.output, name), getattr(expected.output, name))
            for name, value in host_tap.inputs[DETECTOR].items():
                np.testing.assert_array_equal(tap.inputs[DETECTOR][name], value)
            boxes += len(found.output)
        assert pipeline.frame.graph_count == 1
    assert boxes > 30


def images() -> list[Image]:
    found = []
    for seed, size in enumerate(((8, 10), (12, 5), (10, 10))):
        coarse = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
        found.append(Image(np.ascontiguousarray(coarse.repeat(30, axis=0).repeat(30, axis=1))))
    return found
