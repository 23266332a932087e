"""Pre- and post-processing kernels on the GPU, each alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from gpu_timing import Enqueue, GraphTimer, statistics

from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_core.runtime.cuda import CudaContext, KernelModule, LoadModule
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device.decoder import DeviceDecoder
from awml_extractors.centerpoint.device.scatter import DeviceScatter
from awml_extractors.centerpoint.device.voxelizer import DeviceVoxelizer
from awml_extractors.yolox.config import YoloxConfig
from awml_extractors.yolox.config import parse_config as parse_yolox
from awml_extractors.yolox.decode import Decoder
from awml_extractors.yolox.device.decoder import DeviceDecoder as DeviceYoloxDecoder
from awml_extractors.yolox.options import YoloxOptions

_SCORE_LOGIT = 1.0
_QUIET_LOGIT = -8.0


def preprocessing(
    context: CudaContext,
    timer: GraphTimer,
    config: CenterPointConfig,
    cloud: np.ndarray,
    dtype: str,
    load: LoadModule = KernelModule,
) -> dict[str, Any]:
    """Points on the device to decorated pillars, and the scatter of their features."""
    voxelizer = DeviceVoxelizer(
        context, config, max_points=len(cloud), max_sweeps=1, dtype=dtype, load=load
    )
    voxelizer.upload(context.stream, PointCloudFrame.single(PointColumns.from_array(cloud)))
    # The header sets the counters to zero, so that a frame can be repeated.
    steps = {"header": voxelizer.send_header, **voxelizer.steps}
    times = timer.measure(in_order(steps))
    counts = voxelizer.counts()
    element = np.dtype(dtype).itemsize
    channels, slots = config.num_encoder_features, config.max_points_per_voxel
    # What any implementation has to read and write: records, features of stored points, coordinates.
    least = cloud.nbytes + counts.points_used * channels * element + counts.pillars * 12
    # Buffers with all padding, as a network reads them.
    padded = cloud.nbytes + counts.pillars * slots * channels * element
    rows = config.voxel_capacity
    features = context.buffer((rows, 1, config.num_pillar_features), dtype, fill=1)
    scatter = DeviceScatter(context, config, dtype=dtype, load=load)
    bound = scatter.bind(features, voxelizer.coordinates, voxelizer.pillars)
    nx, ny = config.grid_size
    canvas_bytes = counts.pillars * config.num_pillar_features * element
    return {
        "counts": counts.as_dict(),
        "upload_host_ms": uploads(context, voxelizer, cloud),
        "preprocess_ms": times,
        "preprocess_steps_ms": timer.steps(steps),
        "preprocess_bytes": {"least": least, "with_padding": padded},
        "preprocess_gb_per_s": {
            name: round(size / times["warm"]["p50"] / 1e6, 1)
            for name, size in (("least", least), ("with_padding", padded))
        },
        "scatter_ms": (scattered := timer.measure(bound.enqueue)),
        "scatter_steps_ms": timer.steps(
            {"claim_cells": bound.claim.enqueue, "fill_canvas": bound.fill.enqueue}
        ),
        # Rows read, cells written, and the owners of all cells looked at.
        "scatter_gb_per_s": round((2 * canvas_bytes + 4 * nx * ny) / scattered["warm"]["p50"] / 1e6, 1),
    }


def uploads(context: CudaContext, voxelizer: DeviceVoxelizer, cloud: np.ndarray) -> dict[str, Any]:
    """Milliseconds of the host until a cloud is on the device, by the memory it comes from."""
    pinned = voxelizer.clouds.receive_into(cloud.nbytes).view(cloud.dtype).reshape(cloud.shape)
    pinned[:] = cloud
    found = {}
    for name, points in (("pinned", pinned), ("pageable", cloud)):
        times = []
        for _ in range(50):
            frame = PointCloudFrame.single(PointColumns.from_array(points))
            start = time.perf_counter_ns()
            voxelizer.upload(context.stream, frame)
            context.synchronize()
            times.append((time.perf_counter_ns() - start) * 1e-6)
        found[name] = statistics(times[10:])
    return found


def in_order(steps: Mapping[str, Enqueue]) -> Enqueue:
    """All steps, one after the other."""

    def enqueue(stream: int) -> None:
        for step in steps.values():
            step(stream)

    return enqueue


def scene(config: CenterPointConfig, objects: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Head outputs of a scene: each object lights nine cells whose boxes lie on top of each other."""
    generator = np.random.default_rng(seed)
    w, h = config.output_size
    outputs = {name: np.zeros((1, c, h, w), np.float32) for name, c in config.head_outputs.items()}
    outputs["heatmap"][:] = _QUIET_LOGIT + generator.normal(0, 0.5, outputs["heatmap"].shape)
    side = int(np.ceil(np.sqrt(objects)))
    lattice = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)[:objects]
    places = ((lattice + 0.5) * (np.array([w, h]) - 8) / side + 4).astype(int)
    labels = generator.integers(0, len(config.class_names), objects)
    for (x, y), label in zip(places, labels, strict=True):
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                at = (0, slice(None), y + dy, x + dx)
                outputs["heatmap"][0, label, y + dy, x + dx] = _SCORE_LOGIT + generator.random() - abs(dx)
                outputs["reg"][at][:2] = 0.5 - dx, 0.5 - dy
    outputs["dim"][:, :3] = np.log([1.0, 2.0, 1.5])[None, :, None, None]
    outputs["rot"][:, 0] = np.cos(0.3)
    outputs["rot"][:, 1] = np.sin(0.3)
    return outputs


def postprocessing(
    context: CudaContext,
    timer: GraphTimer,
    config: CenterPointConfig,
    objects: int,
    load: LoadModule = KernelModule,
) -> dict[str, Any]:
    """Head outputs on the device to boxes in memory of the host."""
    options = config.postprocess.merged({"decoder": "autoware"}, config.class_names)
    decoder = DeviceDecoder(context, config, options, load=load)
    addresses = {}
    for name, value in scene(config, objects).items():
        buffer = context.buffer(value.shape, value.dtype)
        context.upload(buffer.address, value)
        addresses[name] = buffer.address
    decode, _ = decoder.bind(addresses)
    steps = decoder.steps(addresses)
    times = timer.measure(in_order(steps))
    found = decoder.results(addresses)
    return {
        "candidates": found.candidates,
        "boxes_decoded": found.boxes_decoded,
        "boxes": len(found.detections),
        "on_host": found.on_host,
        "to_host_ms": times,
        "decode_ms": timer.measure(decode),
        "steps_ms": timer.steps(steps),
    }


def image_scene(config: YoloxConfig, candidates: int, seed: int = 0) -> np.ndarray:
    """A network's output whose best cells say boxes of objects, eight cells on one."""
    generator = np.random.default_rng(seed)
    output = np.zeros((config.num_cells, config.num_values), np.float32)
    height, width = config.input_size
    cells = np.sort(generator.permutation(config.num_cells)[:candidates])
    grid = Decoder(config)
    centers = generator.uniform(0, (width, height), (candidates // 8 + 1, 2))[np.arange(candidates) // 8]
    places = centers + generator.normal(0, 2, centers.shape)
    output[cells, :2] = places / grid._strides[cells, None] - grid._grid[cells]
    output[cells, 2:4] = np.log(generator.uniform(30, 40, (candidates, 2)) / grid._strides[cells, None])
    output[cells, 4] = generator.uniform(0.1, 1.0, candidates)
    output[cells, 5 + np.arange(candidates) // 8 % len(config.class_names)] = 0.9
    return output


def image_postprocessing(
    context: CudaContext, timer: GraphTimer, candidates: int, load: LoadModule = KernelModule
) -> dict[str, Any]:
    """YOLOX's output on the device to boxes in memory of the host, at 960 x 960 pixels."""
    config = parse_yolox({})
    output = image_scene(config, candidates)
    memory = context.buffer((1, *output.shape), np.float32)
    context.upload(memory.address, output)
    decoder = DeviceYoloxDecoder(context, config, YoloxOptions(), memory, load=load)
    times = timer.measure(in_order({"decode": decoder.decode, "suppress": decoder.suppress}))
    found = decoder.results()
    return {
        "candidates": found.candidates,
        "boxes": len(found.kept),
        "on_host": found.on_host,
        "to_host_ms": times,
        "steps_ms": timer.steps(decoder.steps()),
    }
