"""What the post-processing kernels read: geometry of the variant and the options in force.

One block in device memory, so that options change without another launch, and a captured graph
replays whatever they are. ``kernels/postprocess.cuh`` declares the same layout.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import ParameterError
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.decode import ThresholdTables, cell_geometry, logit_floor
from awml_extractors.centerpoint.nms import PEDESTRIAN
from awml_extractors.centerpoint.options import PostprocessOptions

MAX_BINS, MAX_CLASSES = 32, 64
_LEAST_BIN, _BIN_RADII = 0.25, 1.25
"""Size of the bins of boxes: at least so many metres, and so many radii of circle suppression. The part
above one is more than float32 rounds at the greatest distance that ``bin_across`` tells apart."""
_FLOAT_MARGIN = 1.001
_MAX_PLACES = 2**32
"""Cells times classes: a place is half of a sorting key."""

ROW = np.dtype(
    [
        ("centers", np.float32, 3),
        ("sizes", np.float32, 3),
        ("yaws", np.float32),
        ("velocities", np.float32, 2),
        ("scores", np.float32),
        ("labels", np.int32),
        ("unused", np.int32),
    ]
)
"""A box on the device, fields named as those of ``Detections``."""
_WIDTHS = {
    name: dtype.itemsize // 4 for name, (dtype, *_) in (ROW.fields or {}).items() if name != "unused"
}
FIELD_WORDS = sum(_WIDTHS.values())
"""Words of a box that the host gets: all but the last."""


def box_fields(words: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[Any]]:
    """Views of memory that holds the fields of :data:`ROW` one behind the other, by name.

    Args:
        words: float32 [capacity * FIELD_WORDS].
    """
    capacity, start, fields = len(words) // FIELD_WORDS, 0, {}
    for name, width in _WIDTHS.items():
        part = words[start : start + capacity * width]
        start += len(part)
        dtype, shape = ROW[name].subdtype or (ROW[name], ())
        fields[name] = part.view(dtype).reshape(capacity, *shape)
    return fields


class Parameters(ctypes.Structure):
    """``struct Parameters`` of ``kernels/postprocess.cuh``, where the fields are explained."""

    _fields_ = (
        ("search_squared", ctypes.c_double),
        ("overlap", ctypes.c_double),
        ("floor", ctypes.c_float),
        ("least_score", ctypes.c_float),
        ("near_squared", ctypes.c_float),
        ("bins_per_meter", ctypes.c_float),
        ("search_reach", ctypes.c_float),
        ("step_x", ctypes.c_float),
        ("step_y", ctypes.c_float),
        ("factor", ctypes.c_float),
        ("voxel_x", ctypes.c_float),
        ("voxel_y", ctypes.c_float),
        ("min_x", ctypes.c_float),
        ("min_y", ctypes.c_float),
        ("decoder", ctypes.c_int),
        ("cells", ctypes.c_int),
        ("width", ctypes.c_int),
        ("bins", ctypes.c_int),
        ("swaps_sizes", ctypes.c_int),
        ("negates_rot", ctypes.c_int),
        ("has_twist", ctypes.c_int),
        ("best", ctypes.c_int),
        ("most", ctypes.c_int),
        ("capacity", ctypes.c_int),
        ("limits", ctypes.c_float * MAX_BINS),
        ("scores", ctypes.c_float * MAX_CLASSES * MAX_BINS),
        ("yaw_norms", ctypes.c_float * MAX_CLASSES),
        ("pedestrian", ctypes.c_int * MAX_CLASSES),
    )


def parameters_of(config: CenterPointConfig, options: PostprocessOptions, capacity: int) -> Parameters:
    """The block for a variant, its options, and room for ``capacity`` candidates.

    Raises:
        ParameterError: More classes, distance bins or cells than the kernels take; all are listed.
    """
    _check(config, options)
    width, height = config.output_size
    block = Parameters(capacity=capacity, cells=width * height, width=width)
    block.step_x, block.step_y, block.min_x, block.min_y = (float(v) for v in cell_geometry(config))
    block.factor = config.out_size_factor
    block.voxel_x, block.voxel_y = config.voxel_size[:2]
    block.swaps_sizes = config.head_convention.dim_order == "wlh"
    block.negates_rot = config.head_convention.rot_encoding == "neg_cos_neg_sin"
    block.has_twist = config.has_twist
    for label, name in enumerate(config.class_names):
        block.pedestrian[label] = name.upper() == PEDESTRIAN
    block.search_squared = -1.0
    if options.decoder == "mmdet3d":
        block.decoder = 1
        block.floor = logit_floor(float(np.float32(options.mmdet3d_score_threshold)))
        block.least_score = options.mmdet3d_score_threshold
        # A squared distance equal to the radius is near too.
        _set_radius(block, np.nextafter(np.float32(options.mmdet3d_min_radius), np.float32(np.inf)))
        block.best = min(options.mmdet3d_pre_max, capacity)
        block.most = min(options.mmdet3d_post_max, capacity)
        return block
    tables = ThresholdTables.of(config, options)
    block.floor = logit_floor(float(tables.scores.min()))
    _set_radius(block, options.circle_nms_dist_threshold * options.circle_nms_dist_threshold)
    block.best = block.most = capacity
    block.bins = len(tables.limits)
    _fill(block.limits, tables.limits)
    for row, scores in zip(block.scores, tables.scores, strict=False):
        _fill(row, scores)
    _fill(block.yaw_norms, tables.yaw_norms)
    block.overlap = options.iou_nms_threshold
    distance = options.iou_nms_search_distance_2d
    if distance > 0.0:
        block.search_squared = distance * distance
        block.search_reach = _FLOAT_MARGIN * distance * distance
    return block


def _set_radius(block: Parameters, squared: float | np.float32) -> None:
    block.near_squared = squared
    block.bins_per_meter = 1.0 / max(_LEAST_BIN, _BIN_RADII * math.sqrt(squared))


def _fill(target: Any, values: Any) -> None:
    target[: len(values)] = [float(value) for value in values]


def _check(config: CenterPointConfig, options: PostprocessOptions) -> None:
    width, height = config.output_size
    classes, bins = len(config.class_names), len(options.distance_bin_upper_limits)
    places = classes * width * height
    problems = [
        f"{subject}: {count}, at most {most} on the GPU"
        for subject, count, most in (
            ("classes", classes, MAX_CLASSES),
            ("distance_bin_upper_limits", bins, MAX_BINS),
            ("cells times classes", places, _MAX_PLACES),
        )
        if count > most
    ]
    if problems:
        raise ParameterError("post-processing on the GPU", "cannot take the model", problems=problems)
