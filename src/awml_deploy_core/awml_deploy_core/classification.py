"""What a classifier says of one sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import TensorMismatchError


@dataclass(frozen=True)
class ClassLabel:
    """The class that a sample is known to have."""

    class_name: str


@dataclass(frozen=True, eq=False)
class Classification:
    """Probability of every class.

    Raises:
        TensorMismatchError: There is not one finite probability a class.
    """

    probabilities: npt.NDArray[np.float32]
    """float32 [K]: in [0, 1], together 1."""
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        expected = (len(self.class_names),)
        if not self.class_names or self.probabilities.shape != expected:
            raise TensorMismatchError(
                "classification.probabilities",
                "wrong shape",
                got=self.probabilities.shape,
                expected=expected,
            )
        if not np.isfinite(self.probabilities).all():
            raise TensorMismatchError(
                "classification.probabilities",
                "are not finite",
                got=self.probabilities.tolist(),
                hint="The model gave NaN or infinity: check its weights and its precision.",
            )

    @classmethod
    def from_logits(cls, logits: npt.NDArray[Any], class_names: tuple[str, ...]) -> Classification:
        """Softmax of the logits [K]."""
        shifted = np.asarray(logits, np.float64)
        with np.errstate(invalid="ignore"):
            powers = np.exp(shifted - shifted.max(initial=-np.inf))
            return cls((powers / powers.sum()).astype(np.float32), class_names)

    @property
    def label(self) -> int:
        """Index of the most probable class, the first of equals."""
        return int(self.probabilities.argmax())

    @property
    def class_name(self) -> str:
        """Name of the most probable class."""
        return self.class_names[self.label]

    @property
    def score(self) -> float:
        """Probability of the most probable class."""
        return float(self.probabilities[self.label])

    def above(self, min_score: float) -> Classification:
        """The same: a sample has a class, however uncertain it is."""
        return self

    def count_by_class(self) -> dict[str, int]:
        """1 for the most probable class, 0 for the others."""
        return {name: int(index == self.label) for index, name in enumerate(self.class_names)}

    def to_records(self) -> list[dict[str, Any]]:
        """One JSON-ready mapping."""
        named = zip(self.class_names, self.probabilities, strict=True)
        return [
            {
                "class": self.class_name,
                "score": self.score,
                "probabilities": {name: float(probability) for name, probability in named},
            }
        ]
