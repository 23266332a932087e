"""Outputs of a network that are hard to decode alike, and images of them on a device against the CPU's."""

from __future__ import annotations

from typing import Any

import numpy as np

from awml_deploy_core.runtime.cuda import DeviceBuffer
from awml_extractors.yolox.config import YoloxConfig, parse_config
from awml_extractors.yolox.decode import Decoder
from awml_extractors.yolox.device.decoder import DecodedImage, DeviceDecoder
from awml_extractors.yolox.options import YoloxOptions
from awml_extractors.yolox.selection import select

SCENES = ("noise", "ties", "pile", "broken", "endless", "below", "empty")
_HOSTILE = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 3e38, -3e38, 1e-40, 88.0, 89.0, 710.0])

Output = np.ndarray[Any, np.dtype[np.float32]]


def config_of(size: tuple[int, int], classes: int, **changes: Any) -> YoloxConfig:
    """A variant of a size ``(height, width)`` and a number of classes."""
    names = [f"class {index}" for index in range(classes)]
    return parse_config({"input_size": size, "class_names": names, **changes})


def output_of(config: YoloxConfig, scene: str, seed: int) -> Output:
    """float32 ``[cells, 5 + K]`` of a kind of scene; see the branches."""
    rng = np.random.default_rng(seed)
    shape = (config.num_cells, config.num_values)
    output = rng.normal(0, 1, shape)
    output[:, 4:] = rng.uniform(0, 1, (shape[0], shape[1] - 4))
    if scene == "ties":
        # Few values, so that scores of different factors are equal and boxes lie on each other.
        output[:, :4] = rng.choice([0.0, 0.5, -1.0, 1.0], (shape[0], 4))
        output[:, 4:] = rng.choice([0.0, 0.25, 0.5, 1.0], (shape[0], shape[1] - 4))
    elif scene == "pile":
        # All centres within some pixels, sizes nearly alike: few are left.
        grid = Decoder(config)
        output[:, :2] = rng.uniform(15, 17, (shape[0], 2)) / grid._strides[:, None] - grid._grid
        output[:, 2:4] = np.log((20 + rng.normal(0, 0.5, (shape[0], 2))) / grid._strides[:, None])
    elif scene == "broken":
        spoilt = rng.random(shape) < 0.05
        output[spoilt] = rng.choice(_HOSTILE, spoilt.sum())
    elif scene == "endless":
        # Sides about the largest float32: products overflow, and whole pixels become infinite.
        output[:, :2] = rng.choice([0.0, 1e37, -1e37, 4e37], (shape[0], 2))
        output[:, 2:4] = rng.choice([84.0, 85.8, 86.2, 86.5, -100.0], (shape[0], 2))
    elif scene == "below":
        output[:, 4:] *= 0.1
    elif scene == "empty":
        output[:, 4] = 0.0
    with np.errstate(over="ignore"):
        return output.astype(np.float32)


def on_cpu(config: YoloxConfig, options: YoloxOptions, output: Output) -> DecodedImage:
    """The image as the CPU's pipeline decodes it."""
    every_class = options.decoder == "autoware"
    found = Decoder(config).decode(output, options.score_threshold, every_class=every_class)
    return DecodedImage(select(found, options), len(found), count_of(options, output), True)


def count_of(options: YoloxOptions, output: Output) -> int:
    """Cells, or cells and classes, above the threshold."""
    finite = output[np.isfinite(output).all(axis=1)]
    with np.errstate(over="ignore"):
        scores = finite[:, 4:5] * finite[:, 5:]
    above = scores > np.float32(options.score_threshold)
    return int(np.count_nonzero(above if options.decoder == "autoware" else above.any(axis=1)))


def uploaded(context: Any, output: Output) -> DeviceBuffer:
    """The output in memory of a device."""
    buffer: DeviceBuffer = context.buffer((1, *output.shape), np.float32)
    context.upload(buffer.address, output)
    context.synchronize()
    return buffer


def decoded(context: Any, decoder: DeviceDecoder) -> DecodedImage:
    """The image as the device decodes it."""
    decoder.decode(context.stream)
    decoder.suppress(context.stream)
    context.synchronize()
    return decoder.results()


def assert_same_image(found: DecodedImage, expected: DecodedImage) -> None:
    """The same boxes, in order and to the bit, and the same counts."""
    assert (found.boxes_decoded, found.candidates) == (expected.boxes_decoded, expected.candidates)
    assert found.kept.num_non_finite == expected.kept.num_non_finite
    for name in ("boxes", "scores", "labels"):
        ours, theirs = (getattr(image.kept, name) for image in (found, expected))
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32), err_msg=name)
