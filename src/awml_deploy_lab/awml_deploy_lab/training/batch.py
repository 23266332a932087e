"""What a training step learns from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """B frames with ground truth, all tensors on one device, N points and M boxes together.

    Coordinates are those of ``base_link`` at the frame's stamp.
    """

    points: Tensor
    """float32 [N, 5]: x, y, z [m], intensity (0 to 255), time lag [s]; by frame the current sweep
    first, then past ones, each in firing order."""
    point_frame: Tensor
    """int64 [N]: frame of every point, ascending."""
    boxes: Tensor
    """float32 [M, 9]: centre x, y, z, length, width, height [m], yaw [rad], vx, vy [m/s]."""
    labels: Tensor
    """int64 [M]: index into the class names of the model."""
    box_frame: Tensor
    """int64 [M]: frame of every box, ascending."""
    num_points: Tensor
    """int64 [M]: returns of every box in its frame, past sweeps included."""
    size: int
    """Frames B."""
