"""Heads that are hard to decode alike, and frames of them on a device against the CPU's."""

from __future__ import annotations

from typing import Any

import numpy as np

from awml_deploy_core.runtime.cuda import DeviceBuffer
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.decode import HeadMaps, decode_autoware
from awml_extractors.centerpoint.decode_mmdet3d import decode_mmdet3d
from awml_extractors.centerpoint.device.decoder import DecodedFrame, DeviceDecoder
from awml_extractors.centerpoint.nms import suppress
from awml_extractors.centerpoint.options import PostprocessOptions

FIELDS = ("centers", "sizes", "yaws", "velocities", "scores", "labels")
NAMES = ("CAR", "PEDESTRIAN", "TRUCK", "BUS", "BICYCLE", "MOTORCYCLE", "TRAILER")
SCENES = ("noise", "ties", "cluster", "coincident", "saturated", "subnormal", "broken", "empty")
_HOSTILE = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 3e38, -3e38, 1e-40, 60000.0, 88.0, 89.0])

Head = dict[str, np.ndarray[Any, Any]]


def config_of(width: int, height: int, classes: int = 3, **changes: Any) -> CenterPointConfig:
    """A variant whose maps have any size, with cells of 0.5 m."""
    values: dict[str, Any] = {
        "class_names": NAMES[:classes],
        "point_cloud_range": (-width / 4, -height / 4, -4.0, width / 4, height / 4, 4.0),
        "voxel_size": (0.5, 0.5, 8.0),
        "backbone_strides": (1, 1, 1),
        "neck_strides": (1.0, 1.0, 1.0),
    }
    return CenterPointConfig.model_validate({**values, **changes})


def head_of(config: CenterPointConfig, scene: str, seed: int, *, half: bool = False) -> Head:
    """Outputs ``[1, c, h, w]`` of a kind of scene; see the branches."""
    rng = np.random.default_rng(seed)
    w, h = config.output_size
    head = {name: rng.normal(0, 1, (1, c, h, w)) for name, c in config.head_outputs.items()}
    rows, columns = np.mgrid[:h, :w]
    if scene == "ties":
        # Few values, also such that float32 sigmoids of different logits are equal; yaws at +-pi.
        head["heatmap"] = rng.choice([-2.0, 0.0, 0.5, 17.5, 20.0], head["heatmap"].shape)
        head["reg"] = rng.choice([0.0, 0.5], head["reg"].shape)
        head["rot"][0, :2] = rng.choice([0.0, -0.0, -1.0, 1.0, 0.3], (2, h, w))
        head["dim"] = rng.choice([0.0, 1.0], head["dim"].shape)
    elif scene in ("cluster", "coincident"):
        # All centres within two metres, or on one of three places.
        spread = 2.0 if scene == "cluster" else 0.0
        places = rng.integers(0, 3, (h, w)) * (scene == "coincident")
        for axis, index in enumerate((columns, rows)):
            target = places + rng.uniform(0, 1, (h, w)) * spread / 0.5
            head["reg"][0, axis] = target - index + (w, h)[axis] // 2
        # Unions on both sides of the least one that counts.
        head["dim"] = rng.choice([-3.0, -2.3, 0.3], head["dim"].shape) + 0.1 * head["dim"]
    elif scene == "saturated":
        head["heatmap"] = rng.choice([9.0, 9.0005, 16.0, 17.0, 18.0, 40.0, 200.0], head["heatmap"].shape)
    elif scene == "subnormal":
        head["heatmap"] = rng.uniform(-104.5, -101.0, head["heatmap"].shape)
    elif scene == "broken":
        for value in head.values():
            spoilt = rng.random(value.shape) < 0.1
            value[spoilt] = rng.choice(_HOSTILE, spoilt.sum())
        head["heatmap"][..., : w // 3] = np.nan
    elif scene == "empty":
        head["heatmap"][:] = -200.0
    dtype = np.float16 if half else np.float32
    with np.errstate(over="ignore"):
        return {name: value.astype(dtype) for name, value in head.items()}


def on_cpu(config: CenterPointConfig, options: PostprocessOptions, head: Head) -> DecodedFrame:
    """The frame as the CPU's pipeline decodes it."""
    decode = decode_mmdet3d if options.decoder == "mmdet3d" else decode_autoware
    decoded = decode(HeadMaps.from_outputs(config, head), config, options)
    boxes = decoded.detections
    return DecodedFrame(suppress(boxes, options), len(boxes), decoded.non_finite, 0, True)


def uploaded(context: Any, head: Head) -> dict[str, DeviceBuffer]:
    """The outputs in memory of a device."""
    buffers = {name: context.buffer(value.shape, value.dtype) for name, value in head.items()}
    for name, value in head.items():
        context.upload(buffers[name].address, value)
    context.synchronize()
    return buffers


def on_device(context: Any, decoder: DeviceDecoder, head: Head, *, pillars: int = 0) -> DecodedFrame:
    """The frame as the device decodes it."""
    buffers = uploaded(context, head)
    addresses = {name: buffer.address for name, buffer in buffers.items()}
    decoder.enqueue(context.stream, addresses, pillars=pillars)
    context.synchronize()
    return decoder.results()


def assert_same_frame(found: DecodedFrame, expected: DecodedFrame) -> None:
    """The same boxes, in order and to the bit, and the same counts."""
    assert found.as_dict() == expected.as_dict()
    for name in FIELDS:
        ours, theirs = (getattr(frame.detections, name) for frame in (found, expected))
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32), err_msg=name)
    assert found.detections.class_names == expected.detections.class_names
    assert found.detections.has_velocity == expected.detections.has_velocity
