"""Where training batches come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from awml_deploy_lab.training.batch import TrainingBatch


class BatchSource(Protocol):
    """An endless stream of batches that is a function of the step alone."""

    def batches(self, start_step: int) -> Iterator[TrainingBatch]:
        """Batches of ``start_step``, ``start_step + 1``, and so on, on the device of the training.

        The batch of a step is the same wherever the stream starts, so that a training that was
        stopped continues as if it had not been. The training does not change the tensors.
        """
        ...
