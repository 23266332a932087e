"""Decoding of the head's maps into boxes as mmdet3d does it (``CenterPointBBoxCoder``)."""

from __future__ import annotations

import numpy as np

from awml_extractors.arithmetic import sigmoid
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.decode import Decoded, HeadMaps, boxes_at, logit_floor, tie_floor
from awml_extractors.centerpoint.options import PostprocessOptions


def decode_mmdet3d(maps: HeadMaps, config: CenterPointConfig, options: PostprocessOptions) -> Decoded:
    """The best ``mmdet3d_pre_max`` boxes over all classes and cells, best score first.

    A cell can give a box of several classes. Scores must exceed ``mmdet3d_score_threshold``. The
    centre is ``((index + reg) * out_size_factor) * voxel_size + range_min`` in float32. Equal
    scores keep the order of class, then cell. Boxes keep their geometric centre in z, and no limit
    on the range of centres is applied; both differ from mmdet3d only after decoding.
    """
    size = maps.heatmap.shape[1]
    flat = maps.heatmap.reshape(-1)
    threshold = np.float32(options.mmdet3d_score_threshold)
    candidates = np.flatnonzero(flat >= logit_floor(float(threshold)))
    if len(candidates) > options.mmdet3d_pre_max:
        last = np.partition(flat[candidates], -options.mmdet3d_pre_max)[-options.mmdet3d_pre_max]
        candidates = candidates[flat[candidates] >= tie_floor(float(last))]
    scores = sigmoid(flat[candidates])
    best = np.argsort(-scores, kind="stable")[: options.mmdet3d_pre_max]
    best = best[scores[best] > threshold]
    labels, cells = np.divmod(candidates[best], size)
    row, column = np.divmod(cells, config.output_size[0])
    factor = np.float32(config.out_size_factor)
    x, y = (
        ((index.astype(np.float32) + maps.reg[axis, cells]) * factor) * np.float32(config.voxel_size[axis])
        + np.float32(config.point_cloud_range[axis])
        for axis, index in enumerate((column, row))
    )
    return boxes_at(maps, config, cells.astype(np.int32), x, y, scores[best], labels.astype(np.int32))
