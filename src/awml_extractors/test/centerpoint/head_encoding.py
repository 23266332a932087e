"""Head outputs as a model would write them, and the channel maps applied as nodes of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from awml_extractors.centerpoint.config import HeadConvention
from awml_extractors.centerpoint.convention import dim_map, rot_map


def encode_yaw(yaw: Any, convention: HeadConvention) -> tuple[Any, Any]:
    """The two rot channels, of unit norm, of a REP 103 yaw [rad]."""
    if convention.rot_encoding == "neg_cos_neg_sin":
        return -np.cos(yaw), -np.sin(yaw)
    return np.sin(yaw), np.cos(yaw)


def encode_size(size: Any, convention: HeadConvention) -> Any:
    """``dim`` channels ``[..., 3]`` of length, width, height ``[..., 3]`` [m]."""
    dim = np.log(size)
    return dim if convention.dim_order == "lwh" else dim[..., [1, 0, 2]]


def convert_head_outputs(
    outputs: Mapping[str, Any], source: HeadConvention, target: HeadConvention
) -> dict[str, Any]:
    """Head outputs ``[B, c, h, w]`` by name, with ``dim`` and ``rot`` rewritten."""
    converted = dict(outputs)
    for name, channels in (("dim", dim_map(source, target)), ("rot", rot_map(source, target))):
        value = outputs[name]
        if value.shape[1] == 2 * len(channels.order):
            channels = channels.with_variance()
        signs = np.asarray(channels.signs, value.dtype).reshape(1, -1, 1, 1)
        converted[name] = value[:, list(channels.order)] * signs
    return converted
