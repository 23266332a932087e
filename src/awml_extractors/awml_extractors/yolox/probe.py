"""Probes of YOLOX's pipeline: boxes, thresholds and suppression that are known.

Made from the exchange format as :mod:`awml_extractors.yolox.specs` describes it, and not with the code
that decodes it. No image has the size of the network's input, so that neither the scale nor the part
without image can be forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.components import DynamicAxis
from awml_deploy_core.detections2d import Detections2D
from awml_deploy_core.family import Probe
from awml_deploy_core.images import Image
from awml_extractors.yolox.config import YoloxConfig
from awml_extractors.yolox.specs import DETECTOR, component_spec

DECODERS = ("mmdet", "autoware")

_LEVELS = (8, 16, 32)
"""Strides in the order of the output's rows."""
_GREY = 114.0
_BLUE_GREEN_RED = (10, 70, 200)
_NEVER = 1e-3
_OPEN = {"score_threshold": 0.05, "nms_threshold": 0.9, "max_detections": 100000}
"""Options under which every box comes back."""

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class KnownBox:
    """A box in the image, and the cell that says it."""

    label: int
    box: tuple[float, float, float, float]
    """Left, top, right, bottom [px of the image]."""
    level: int
    """Index of the cell's stride."""
    cell: tuple[int, int]
    """Column and row."""
    score: float = 0.9
    kept: bool = True
    """Whether it comes back."""


@dataclass(frozen=True)
class Scene:
    """An image of a size, and how it lies in the network's input."""

    width: int
    height: int
    scale: float
    """Pixels of the input to a pixel of the image."""

    @classmethod
    def of(cls, config: YoloxConfig, width: int, height: int) -> Scene:
        """The whole image in the upper left corner, as large as it fits."""
        rows, columns = config.input_size
        return cls(width, height, min(columns / width, rows / height))

    def image(self) -> Image:
        """Of one colour."""
        return Image(np.full((self.height, self.width, 3), _BLUE_GREEN_RED, np.uint8))

    def tensor(self, config: YoloxConfig) -> FloatArray:
        """What the network has to be fed with."""
        axis = component_spec(config).inputs[0].shape[0]
        least = axis.min if isinstance(axis, DynamicAxis) else axis
        images = np.zeros((least, 3, *config.input_size), np.float32)
        images[0] = _GREY
        # Pixels that would be cut are left out; the margin is for products that should be whole.
        height, width = (math.floor(size * self.scale + 1e-6) for size in (self.height, self.width))
        inside = images[0, :, :height, :width]
        inside[:] = np.array(_BLUE_GREEN_RED, np.float32)[:, None, None]
        return images


def known_scene(config: YoloxConfig) -> Scene:
    """An image twice as wide as the input, and as high: it fills the upper half."""
    return Scene.of(config, 2 * config.input_size[1], config.input_size[0])


def probes(config: YoloxConfig) -> tuple[Probe, ...]:
    """Both decoders with boxes of every class from cells of every stride, in images that are made smaller
    and larger, then their thresholds and their suppression."""
    rows, columns = config.input_size
    shrunk = known_scene(config)
    found = [
        probe_of(config, f"boxes, decoder {name}", shrunk, spread(config, shrunk), name)
        for name in DECODERS
    ]
    for name, scene in (
        ("odd scale", Scene.of(config, columns * 3 // 2, rows)),
        ("enlarged", Scene.of(config, columns // 4, rows // 2)),
    ):
        found.append(probe_of(config, f"boxes, {name}", scene, spread(config, scene), "mmdet"))
    for name in DECODERS:
        found.append(_thresholds(config, shrunk, name))
        found.append(_suppression(config, shrunk, name))
    return tuple(found)


def spread(config: YoloxConfig, scene: Scene) -> list[KnownBox]:
    """Boxes of every class from every stride that has a cell left, all over the image, none on another."""
    rows, columns = config.input_size
    classes = len(config.class_names)
    sizes = [(columns // stride, rows // stride) for stride in _LEVELS]
    plan = [
        (label, level)
        for label in range(classes)
        for level, (width, height) in enumerate(sizes)
        if label < width * height
    ]
    side = math.ceil(math.sqrt(len(plan)))
    pitch = scene.width / side, scene.height / side
    boxes = []
    for index, (label, level) in enumerate(plan):
        width, height = sizes[level]
        # All over the level; any cell may say any box.
        cell = label * max(width * height // classes, 1)
        row, column = divmod(index, side)
        left, top = (column + 0.2) * pitch[0], (row + 0.3) * pitch[1]
        right = left + (0.4 + 0.07 * (index % 3)) * pitch[0]
        bottom = top + (0.3 + 0.1 * level) * pitch[1]
        boxes.append(KnownBox(label, (left, top, right, bottom), level, (cell % width, cell // width)))
    scores = np.linspace(0.9, 0.5, len(boxes)).tolist()
    return [replace(box, score=score) for box, score in zip(boxes, scores, strict=True)]


def encode(config: YoloxConfig, scene: Scene, boxes: Sequence[KnownBox]) -> FloatArray:
    """The network's output, float32 [1, cells, 5 + K], that says these boxes.

    Centre in cells from the cell's corner; logarithm of the size in cells; objectness; scores of classes.
    """
    rows, columns = config.input_size
    starts = [0]
    for stride in _LEVELS:
        starts.append(starts[-1] + (rows // stride) * (columns // stride))
    output = np.zeros((1, starts[-1], 5 + len(config.class_names)), np.float64)
    for known in boxes:
        stride = _LEVELS[known.level]
        left, top, right, bottom = (value * scene.scale / stride for value in known.box)
        column, row = known.cell
        place = starts[known.level] + row * (columns // stride) + column
        # Neither factor of the score can be left out.
        objectness = math.sqrt(known.score) * 0.99
        output[0, place, 5:] = _NEVER
        output[0, place, :5] = (
            (left + right) / 2 - column,
            (top + bottom) / 2 - row,
            math.log(right - left),
            math.log(bottom - top),
            objectness,
        )
        output[0, place, 5 + known.label] = known.score / objectness
    return output.astype(np.float32)


def expected(config: YoloxConfig, boxes: Sequence[KnownBox], scene: Scene, decoder: str) -> Detections2D:
    """What comes back, best first."""
    kept = sorted((box for box in boxes if box.kept), key=lambda box: -box.score)
    corners = np.array([box.box for box in kept], np.float64).reshape(-1, 4)
    if decoder == "autoware":
        corners = _cut(_cut(corners * scene.scale) / scene.scale)
    return Detections2D(
        corners.astype(np.float32),
        np.array([box.score for box in kept], np.float32),
        np.array([box.label for box in kept], np.int32),
        config.class_names,
    )


def _cut(corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Left, top, width and height as whole numbers, as Autoware keeps them."""
    start = np.floor(corners[:, :2])
    return np.concatenate([start, start + np.floor(corners[:, 2:] - corners[:, :2])], axis=1)


def _whole(scene: Scene, known: KnownBox) -> KnownBox:
    """The box with edges in the middle between two pixels of the input, so that cutting is defined."""
    left, top, right, bottom = (value * scene.scale for value in known.box)
    start = [math.floor(value) + 0.5 for value in (left, top)]
    size = [max(math.floor(value), 1) + 0.5 for value in (right - left, bottom - top)]
    moved = (*start, start[0] + size[0], start[1] + size[1])
    return replace(known, box=tuple(value / scene.scale for value in moved))


def probe_of(
    config: YoloxConfig,
    name: str,
    scene: Scene,
    boxes: Sequence[KnownBox],
    decoder: str,
    changes: Mapping[str, Any] | None = None,
    output: FloatArray | None = None,
) -> Probe:
    """A probe with these boxes; ``output`` says them if it is not made here."""
    if decoder == "autoware":
        boxes = [_whole(scene, box) for box in boxes]
    return Probe(
        name,
        scene.image(),
        {DETECTOR: {"output": encode(config, scene, boxes) if output is None else output}},
        {"decoder": decoder, **_OPEN, **(changes or {})},
        expected(config, boxes, scene, decoder),
        {DETECTOR: {"images": scene.tensor(config)}},
    )


def _thresholds(config: YoloxConfig, scene: Scene, decoder: str) -> Probe:
    """Of the boxes of every class, one a little above and one a little below the score threshold."""
    threshold = 0.4
    boxes = []
    for index, known in enumerate(spread(config, scene)):
        above = index % 2 == 0
        step = 1e-3 * (1 + index / 1000)
        boxes.append(replace(known, score=threshold + (step if above else -step), kept=above))
    name = f"thresholds, decoder {decoder}"
    return probe_of(config, name, scene, boxes, decoder, {"score_threshold": threshold})


def _suppression(config: YoloxConfig, scene: Scene, decoder: str) -> Probe:
    """Pairs that overlap a little more, and a little less, than the threshold; and of two classes.

    Boxes of width L that are d apart along it share (L - d) / (L + d) of their union.
    """
    threshold, classes = 0.5, len(config.class_names)
    width, height = 0.25 * scene.width, 0.08 * scene.height
    cells = config.input_size[1] // _LEVELS[0]
    boxes = []
    for index, (iou, other, kept) in enumerate(_pairs(decoder, classes)):
        shift = width * (1 - iou) / (1 + iou)
        left, top = 0.1 * scene.width, (0.05 + 0.18 * index) * scene.height
        for turn, (label, start) in enumerate(((0, left), (other, left + shift))):
            row, column = divmod(2 * index + turn, cells)
            box = (start, top, start + width, top + height)
            score = 0.9 - 0.2 * turn - 0.02 * index
            boxes.append(KnownBox(label, box, 0, (column, row), score, kept or not turn))
    name = f"suppression, decoder {decoder}"
    return probe_of(config, name, scene, boxes, decoder, {"nms_threshold": threshold})


def _pairs(decoder: str, classes: int) -> Iterator[tuple[float, int, bool]]:
    """Overlap, class of the second box, and whether it is kept."""
    yield 0.65, 0, False
    yield 0.35, 0, True
    if classes > 1:
        # Autoware suppresses regardless of the class.
        yield 0.65, 1, decoder == "mmdet"
