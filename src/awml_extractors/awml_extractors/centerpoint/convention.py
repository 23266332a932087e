"""The one place that converts between conventions of the head's ``dim`` and ``rot`` channels.

mmdet3d's heads write log (length, width, height) and (sin, cos) of the REP 103 yaw. Autoware reads
log (width, length, height) and a rot whose ``atan2(rot0, rot1)`` is ``-yaw - pi/2``, that is
(-cos, -sin). A head with variance writes the values first and then one log variance a value, in
the same order; a log variance follows its value when values swap places and never changes sign,
because negating a value leaves its variance as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_extractors.arithmetic import arctan2, exp
from awml_extractors.centerpoint.config import HeadConvention

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ChannelMap:
    """Output channel i is ``signs[i]`` times input channel ``order[i]``."""

    order: tuple[int, ...]
    signs: tuple[float, ...]

    def with_variance(self) -> ChannelMap:
        """The map of a head that also writes log variances."""
        count = len(self.order)
        return ChannelMap(
            self.order + tuple(count + index for index in self.order), self.signs + (1.0,) * count
        )


def dim_map(source: HeadConvention, target: HeadConvention) -> ChannelMap:
    """How the three ``dim`` channels change from ``source`` to ``target``."""
    same = source.dim_order == target.dim_order
    return ChannelMap((0, 1, 2) if same else (1, 0, 2), (1.0, 1.0, 1.0))


def rot_map(source: HeadConvention, target: HeadConvention) -> ChannelMap:
    """How the two ``rot`` channels change from ``source`` to ``target``."""
    if source.rot_encoding == target.rot_encoding:
        return ChannelMap((0, 1), (1.0, 1.0))
    return ChannelMap((1, 0), (-1.0, -1.0))


def decode_yaw(rot0: Array, rot1: Array, convention: HeadConvention) -> Array:
    """Yaw [rad] in (-pi, pi], counter-clockwise from +x (REP 103), from the two rot channels."""
    yaw = arctan2(-rot1, -rot0) if convention.rot_encoding == "neg_cos_neg_sin" else arctan2(rot0, rot1)
    # A sine of -0.0 gives -pi.
    return np.where(yaw == -np.pi, -yaw, yaw).astype(yaw.dtype)


def decode_size(dim: Array, convention: HeadConvention) -> Array:
    """Length, width, height [m] from ``dim`` ``[..., 3]`` of log sizes in the convention's order."""
    size = exp(dim)
    return size if convention.dim_order == "lwh" else size[..., [1, 0, 2]]
