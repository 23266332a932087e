"""From the network's output to boxes in the network's input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_extractors.arithmetic import exp
from awml_extractors.yolox.config import STRIDES, YoloxConfig

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Boxes before suppression, best score first and otherwise in the order of the output."""

    boxes: FloatArray
    """float32 [N, 4]: left, top, right, bottom in pixels of the network's input."""
    scores: FloatArray
    """float32 [N]."""
    labels: npt.NDArray[np.int32]
    """int32 [N]."""
    num_non_finite: int
    """Boxes left out because the network gave NaN or infinity."""

    def __len__(self) -> int:
        return len(self.scores)


class Decoder:
    """Decodes one image's output; holds the grid of a variant."""

    def __init__(self, config: YoloxConfig) -> None:
        height, width = config.input_size
        grids, strides = [], []
        for stride in STRIDES:
            x, y = np.meshgrid(np.arange(width // stride), np.arange(height // stride))
            grids.append(np.stack([x.ravel(), y.ravel()], axis=1))
            strides.append(np.full(x.size, stride))
        self._grid = np.concatenate(grids).astype(np.float32)
        self._strides = np.concatenate(strides).astype(np.float32)

    def decode(self, output: FloatArray, threshold: float, *, every_class: bool) -> Candidates:
        """Boxes whose score exceeds a threshold.

        Args:
            output: float32 [cells, 5 + K], as :mod:`awml_extractors.yolox.specs` describes it.
            threshold: Of objectness times class score.
            every_class: A cell gives a box for every class above the threshold, not only for the best.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            scores = output[:, 4:5] * output[:, 5:]
        non_finite = ~np.isfinite(output).all(axis=1)
        if every_class:
            cells, labels = np.nonzero((scores > np.float32(threshold)) & ~non_finite[:, None])
        else:
            best = scores.argmax(axis=1)
            cells = np.flatnonzero((scores.max(axis=1) > np.float32(threshold)) & ~non_finite)
            labels = best[cells]
        chosen = scores[cells, labels]
        order = np.argsort(-chosen, kind="stable")
        cells, labels, chosen = cells[order], labels[order], chosen[order]
        stride = self._strides[cells, None]
        with np.errstate(over="ignore", invalid="ignore"):
            centers = (output[cells, :2] + self._grid[cells]) * stride
            half = exp(output[cells, 2:4]) * stride / np.float32(2)
            boxes = np.concatenate([centers - half, centers + half], axis=1)
        finite = np.isfinite(boxes).all(axis=1)
        return Candidates(
            boxes[finite],
            chosen[finite],
            labels[finite].astype(np.int32),
            int(np.count_nonzero(non_finite)) + int(np.count_nonzero(~finite)),
        )
