"""Decoding and suppression on a GPU: bit for bit what the CPU does; skipped visibly without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoder_frames import SCENES, assert_same_frame, config_of, head_of, on_cpu, on_device, uploaded
from device_functions import ON_CPU, arguments_of, assert_same_bits, write_source

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import BackendUnavailableError, MissingDependencyError
from awml_deploy_core.runtime.cuda import CudaContext, KernelModule, capture
from awml_extractors.centerpoint.device.decoder import DeviceDecoder
from awml_extractors.centerpoint.options import PostprocessOptions

OPTIONS = {
    "autoware": PostprocessOptions(
        distance_bin_upper_limits=(10.0, 30.0, 55.0),
        min_confidence_scores={"CAR": (0.4, 0.6, 0.7)},
        circle_nms_dist_threshold=0.7,
    ),
    "mmdet3d": PostprocessOptions(decoder="mmdet3d", mmdet3d_score_threshold=0.7, mmdet3d_post_max=400),
}


@pytest.fixture
def context() -> Iterator[CudaContext]:
    try:
        opened = CudaContext(DeviceSpec("cuda", 0))
    except (BackendUnavailableError, MissingDependencyError) as error:
        pytest.skip(f"needs a GPU: {error}")
    yield opened
    opened.close()


def test_every_function_gives_the_same_bits(context: CudaContext, tmp_path: Path) -> None:
    module = KernelModule(context, write_source(tmp_path))
    for name, arguments in arguments_of(200_000, 1).items():
        expected = ON_CPU[name](*arguments)
        memory = [context.buffer(value.shape, value.dtype) for value in arguments]
        for buffer, value in zip(memory, arguments, strict=True):
            context.upload(buffer.address, value)
        made = context.buffer(expected.shape, expected.dtype)
        count = np.int32(len(arguments[0]))
        module.kernel(name).bind(1024, 256, [*memory, count, made]).enqueue(context.stream)
        out = np.empty_like(expected)
        context.download(out, made.address)
        context.synchronize()
        assert_same_bits(out, expected, name)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("decoder", OPTIONS)
@pytest.mark.parametrize("scene", SCENES)
def test_bit_for_bit(context: CudaContext, scene: str, decoder: str, half: bool) -> None:
    for size, seed in (((48, 40), 0), ((13, 7), 1), ((61, 33), 2), ((120, 100), 3)):
        config = config_of(*size, 5)
        head = head_of(config, scene, seed, half=half)
        device = DeviceDecoder(context, config, OPTIONS[decoder], 16384, half=half)
        expected = on_cpu(config, OPTIONS[decoder], head)
        for _ in range(5):
            assert_same_frame(on_device(context, device, head), expected)


@pytest.mark.parametrize("decoder", OPTIONS)
@pytest.mark.parametrize("size", [480, 510])
def test_a_captured_graph_replays_with_whatever_options_are_set(
    context: CudaContext, size: int, decoder: str
) -> None:
    config = config_of(size, size, 5)
    heads = [sparse(head_of(config, "noise", seed)) for seed in range(3)]
    device = DeviceDecoder(context, config, OPTIONS[decoder])
    buffers = uploaded(context, heads[0])
    addresses = {name: buffer.address for name, buffer in buffers.items()}
    graph = capture(context, context.stream, lambda stream: device.enqueue(stream, addresses))
    for head in heads:
        for name, value in head.items():
            context.upload(buffers[name].address, value)
        for chosen in (OPTIONS[decoder], OPTIONS[decoder].merged({"iou_nms_threshold": 0.3}, ["CAR"])):
            device.set_options(chosen)
            expected = on_cpu(config, chosen, head)
            for _ in range(3):
                graph.launch(context.stream)
                context.synchronize()
                found = device.results()
                assert_same_frame(found, expected)
                assert not found.on_host
            assert len(expected.detections) > 100
    graph.close()


def test_too_many_candidates_are_decoded_on_the_host(context: CudaContext) -> None:
    config = config_of(64, 64)
    head = head_of(config, "noise", 0)
    found = on_device(context, DeviceDecoder(context, config, PostprocessOptions(), 100), head)
    assert found.on_host
    assert_same_frame(found, on_cpu(config, PostprocessOptions(), head))


def sparse(head: dict[str, Any]) -> dict[str, Any]:
    """A head of which one cell in fifty is above the thresholds."""
    cells = np.random.default_rng(0).random(head["heatmap"].shape[2:]) < 0.98
    head["heatmap"][..., cells] -= 12.0
    return head
