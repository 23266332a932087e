"""Probes of the classifier's pipeline: known points in known pixels, known logits to a known class.

Made from the description in :mod:`awml_extractors.calibration_status.projection` and the formula of
OpenCV's lens model, not with the code that projects.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from awml_deploy_core.classification import Classification
from awml_deploy_core.components import DynamicAxis
from awml_deploy_core.errors import ExportError
from awml_deploy_core.family import Probe
from awml_deploy_core.images import CameraCalibration, Image, LidarCameraFrame
from awml_deploy_core.points import PointColumns
from awml_extractors.calibration_status.config import CHANNELS, CalibrationStatusConfig
from awml_extractors.calibration_status.specs import CLASSIFIER, component_spec

if TYPE_CHECKING:
    import torch

    from awml_extractors.calibration_status.model import CalibrationStatusClassifier

_BLUE_GREEN_RED = (10, 70, 200)
_LIDAR_TO_CAMERA = np.array([[0, -1, 0, 0.1], [0, 0, -1, -0.2], [1, 0, 0, -0.3], [0, 0, 0, 1.0]])
"""The LiDAR looks along x with y to the left and z up, the camera along z with y down."""
_K1 = -0.1
"""Radial distortion of the probe whose image is not rectified."""
_LOGITS = (1.5, -0.7)

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class KnownPoint:
    """A point, and where it has to be seen."""

    column: int
    row: int
    depth: float
    """z in the frame of the camera [m]."""
    intensity: float
    seen: bool = True
    """False for one that is hidden or out of range."""


def probes(config: CalibrationStatusConfig) -> tuple[Probe, ...]:
    """Every class once, with known points; then an image that is distorted and stays so."""
    found = []
    for label, name in enumerate(config.class_names):
        logits = _LOGITS if label == 0 else _LOGITS[::-1]
        found.append(_probe(config, f"class {name}", logits, 0.0))
    found.append(_probe(config, "image that is not rectified", _LOGITS, _K1))
    return tuple(found)


def extractor_probes(config: CalibrationStatusConfig, model: torch.nn.Module) -> tuple[Probe, ...]:
    """Every class out of an extracted network whose last layer is told to say it.

    Args:
        config: The bundle's.
        model: A classifier, which stays as it is.

    Raises:
        ExportError: ``model`` is no classifier of this family.
    """
    import torch

    from awml_deploy_core.components import SimpleComponentExtractor
    from awml_extractors.calibration_status.model import CalibrationStatusClassifier

    if not isinstance(model, CalibrationStatusClassifier):
        raise ExportError(
            "model", "wrong type", got=type(model).__name__, expected="CalibrationStatusClassifier"
        )
    found = []
    for label, name in enumerate(config.class_names):
        logits = _LOGITS if label == 0 else _LOGITS[::-1]
        told = copy.deepcopy(model).eval()
        _tell(told, logits)
        (component,) = SimpleComponentExtractor(component_spec(config)).extract(told)
        with torch.inference_mode():
            output = component.module(torch.zeros(1, CHANNELS, *_size(config)))
        found.append(_probe(config, f"class {name} of an extracted network", logits, 0.0, output.numpy()))
    return tuple(found)


def _tell(model: CalibrationStatusClassifier, logits: tuple[float, ...]) -> None:
    import torch

    with torch.no_grad():
        model.head.get_parameter("fc.weight").zero_()
        model.head.get_parameter("fc.bias").copy_(torch.tensor(logits))


def _probe(
    config: CalibrationStatusConfig,
    name: str,
    logits: tuple[float, ...],
    k1: float,
    output: FloatArray | None = None,
) -> Probe:
    points = list(_points(config))
    least = component_spec(config).outputs[0].shape[0]
    batch = least.min if isinstance(least, DynamicAxis) else least
    said = np.zeros((batch, len(logits)), np.float32)
    said[0] = logits
    powers = [math.exp(value) for value in logits]
    return Probe(
        name,
        _frame(config, points, k1),
        {CLASSIFIER: {"output": said if output is None else output}},
        {"rectify": not k1},
        Classification(np.array(powers, np.float32) / np.float32(sum(powers)), config.class_names),
        {CLASSIFIER: {"input": _tensor(config, points, batch)}},
    )


def _size(config: CalibrationStatusConfig) -> tuple[int, int]:
    """Least height and width of an image."""
    height, width = (axis if isinstance(axis, int) else axis[0] for axis in (config.height, config.width))
    return height, width


def _points(config: CalibrationStatusConfig) -> Iterator[KnownPoint]:
    """Points apart from each other, in the corners, one behind another, and out of range."""
    height, width = _size(config)
    far = config.max_depth
    places = [(0, 0), (width - 2, 0), (0, height - 2), (width - 2, height - 2), (width // 3, height // 2)]
    for index, (column, row) in enumerate(places):
        yield KnownPoint(column, row, far * (index + 1) / 8, 50.0 * index)
    column, row = width // 3, height // 2
    yield KnownPoint(column, row, far * 0.9, 255.0, seen=False)
    yield KnownPoint(width // 2, height // 4, far * 1.01, 255.0, seen=False)
    yield KnownPoint(width // 2, height // 4, -5.0, 255.0, seen=False)
    yield KnownPoint(2 * width, height // 4, 5.0, 255.0, seen=False)


def _camera_matrix(config: CalibrationStatusConfig) -> npt.NDArray[np.float64]:
    """Another focal length along each axis, and a centre that is not the image's."""
    height, width = _size(config)
    return np.array([[0.9 * width, 0, 0.45 * width], [0, 1.1 * height, 0.55 * height], [0, 0, 1.0]])


def _frame(config: CalibrationStatusConfig, points: list[KnownPoint], k1: float) -> LidarCameraFrame:
    matrix = _camera_matrix(config)
    rows = []
    for point in points:
        # In the middle of a pixel, so that no rounding moves it to the next one.
        x = (point.column + 0.5 - matrix[0, 2]) / matrix[0, 0]
        y = (point.row + 0.5 - matrix[1, 2]) / matrix[1, 1]
        if point.seen:
            x, y = _before_the_lens(x, y, k1)
        in_camera = np.array([x * point.depth, y * point.depth, point.depth])
        in_lidar = _LIDAR_TO_CAMERA[:3, :3].T @ (in_camera - _LIDAR_TO_CAMERA[:3, 3])
        rows.append([*in_lidar, point.intensity])
    height, width = _size(config)
    pixels = np.full((height, width, 3), _BLUE_GREEN_RED, np.uint8)
    distortion = np.array([k1, 0, 0, 0, 0], np.float64)
    calibration = CameraCalibration(matrix, _LIDAR_TO_CAMERA, distortion)
    return LidarCameraFrame(Image(pixels), PointColumns.from_array(np.array(rows, np.float32)), calibration)


def _before_the_lens(x: float, y: float, k1: float) -> tuple[float, float]:
    """The direction that a lens with r' = r (1 + k1 r^2) shows at (x, y)."""
    shown = math.hypot(x, y)
    if not k1 or not shown:
        return x, y
    roots = np.roots([k1, 0.0, 1.0, -shown])
    radius = min(float(root.real) for root in roots if abs(root.imag) < 1e-9 and root.real > 0)
    return x * radius / shown, y * radius / shown


def _tensor(config: CalibrationStatusConfig, points: list[KnownPoint], batch: int) -> FloatArray:
    """Colours, depth and intensity, all from 0 to 1; the nearest point of a pixel is seen."""
    height, width = _size(config)
    tensor = np.zeros((batch, CHANNELS, height, width), np.float32)
    tensor[0, :3] = (np.array(_BLUE_GREEN_RED, np.float32) / np.float32(255))[:, None, None]
    reach = config.dilation_size
    for point in sorted((point for point in points if point.seen), key=lambda point: -point.depth):
        rows = slice(max(point.row - reach, 0), point.row + reach + 1)
        columns = slice(max(point.column - reach, 0), point.column + reach + 1)
        tensor[0, 3, rows, columns] = point.depth / config.max_depth
        tensor[0, 4, rows, columns] = point.intensity / 255
    return tensor
