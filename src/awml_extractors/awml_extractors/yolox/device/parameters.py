"""What the post-processing kernels read, and the boxes that they write.

The options are one block in device memory, so that they change without another launch, and a captured
graph replays whatever they are. ``kernels/postprocess.cuh`` declares the same layouts.
"""

from __future__ import annotations

import ctypes

import numpy as np

from awml_extractors.yolox.options import YoloxOptions

ROW = np.dtype(
    [
        ("boxes", np.float32, 4),
        ("scores", np.float32),
        ("labels", np.int32),
        ("finite", np.int32),
        ("unused", np.int32),
    ]
)
"""A box as the kernels write it, fields named as those of ``Candidates``."""


class Parameters(ctypes.Structure):
    """``struct Parameters`` of ``kernels/postprocess.cuh``, where the fields are explained."""

    _fields_ = (
        ("overlap", ctypes.c_double),
        ("score", ctypes.c_float),
        ("decoder", ctypes.c_int),
        ("most", ctypes.c_int),
        ("unused", ctypes.c_int),
    )


def parameters_of(options: YoloxOptions, capacity: int) -> Parameters:
    """The block for the options and room for ``capacity`` candidates."""
    return Parameters(
        overlap=options.nms_threshold,
        score=options.score_threshold,
        decoder=int(options.decoder == "autoware"),
        most=min(options.max_detections, capacity),
    )
