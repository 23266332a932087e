"""Comparison of one tensor from two backends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.config.schema import TensorTolerance, ToleranceSection

MAGNITUDE_FLOOR = 1e-6
"""Denominator of the relative difference where the reference is (almost) zero everywhere."""


@dataclass(frozen=True)
class TensorComparison:
    """How far a test tensor is from its reference; falsy if it is too far."""

    name: str
    failures: tuple[str, ...]
    """One clause for every limit that is broken; empty if the tensors agree."""
    shape: tuple[int, ...]
    max_abs: float | None = None
    mean_abs: float | None = None
    relative: float | None = None
    """Largest absolute difference over the largest absolute reference value."""
    cosine: float | None = None
    """Cosine similarity; 0 if only one tensor is zero, None if both are, or empty."""
    worst_index: tuple[int, ...] | None = None
    """Where the largest difference is."""

    def __bool__(self) -> bool:
        return not self.failures

    def message(self) -> str:
        """The broken limits, or the figures if none is."""
        if self.failures:
            return "; ".join(self.failures)
        if self.relative is None:
            return "empty on both sides"
        return f"relative {self.relative:.2e}, max abs {self.max_abs:.2e}, mean abs {self.mean_abs:.2e}"

    def details(self) -> dict[str, Any]:
        """JSON-ready figures."""
        return {
            "shape": list(self.shape),
            "max_abs": self.max_abs,
            "mean_abs": self.mean_abs,
            "relative": self.relative,
            "cosine": self.cosine,
            "worst_index": None if self.worst_index is None else list(self.worst_index),
        }


@dataclass(frozen=True)
class TensorComparator:
    """Compares tensors by the tolerance of their name."""

    tolerances: ToleranceSection = field(default_factory=ToleranceSection)

    def compare(self, name: str, reference: npt.NDArray[Any], test: npt.NDArray[Any]) -> TensorComparison:
        """Compare ``test`` with ``reference``.

        Differing shapes or dtypes and values that are not finite, on either side, always fail.
        """
        shape = tuple(int(n) for n in test.shape)
        failures = _form_failures(reference, test)
        if failures or not reference.size:
            return TensorComparison(name, failures, shape)
        a, b = reference.astype(np.float64), test.astype(np.float64)
        difference = np.abs(a - b)
        flat = int(difference.argmax())
        worst = tuple(int(i) for i in np.unravel_index(flat, shape))
        max_abs = float(difference.flat[flat])
        figures = {
            "max_abs": max_abs,
            "mean_abs": float(difference.mean()),
            "relative": max_abs / max(float(np.abs(a).max()), MAGNITUDE_FLOOR),
            "cosine": _cosine(a, b),
        }
        tolerance = self.tolerances.outputs.get(name, self.tolerances.default)
        failures = _limit_failures(tolerance, figures)
        if failures:
            at = f"worst at {list(worst)}: reference {a[worst]:.6g}, test {b[worst]:.6g}"
            failures = (*failures, at)
        return TensorComparison(
            name,
            failures,
            shape,
            figures["max_abs"],
            figures["mean_abs"],
            figures["relative"],
            figures["cosine"],
            worst,
        )


def _form_failures(reference: npt.NDArray[Any], test: npt.NDArray[Any]) -> tuple[str, ...]:
    if reference.shape != test.shape:
        return (f"shape {list(test.shape)}, reference {list(reference.shape)}",)
    failures = []
    if reference.dtype != test.dtype:
        failures.append(f"dtype {test.dtype}, reference {reference.dtype}")
    for side, values in (("reference", reference), ("test", test)):
        if values.dtype.kind == "f" and (bad := int(values.size - np.isfinite(values).sum())):
            failures.append(f"{bad} of {values.size} values of the {side} are NaN or infinite")
    return tuple(failures)


def _cosine(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float | None:
    lengths = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if not all(lengths):
        return 0.0 if any(lengths) else None
    return float(np.dot(a.ravel(), b.ravel())) / lengths[0] / lengths[1]


def _limit_failures(tolerance: TensorTolerance, figures: dict[str, float | None]) -> tuple[str, ...]:
    failures = []
    for figure in ("relative", "max_abs", "mean_abs"):
        limit, value = getattr(tolerance, figure), figures[figure]
        if limit is not None and value is not None and value > limit:
            failures.append(f"{figure} {value:.2e} exceeds {limit:.2e}")
    cosine = figures["cosine"]
    if tolerance.min_cosine is not None and cosine is not None and cosine < tolerance.min_cosine:
        failures.append(f"cosine {cosine:.6f} is below {tolerance.min_cosine:.6f}")
    return tuple(failures)
