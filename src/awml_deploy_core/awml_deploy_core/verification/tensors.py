"""Comparison of one tensor from two backends."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.config.verification import TensorTolerance
from awml_deploy_core.verification.tolerances import Tolerances

MAGNITUDE_FLOOR = 1e-3
"""Least scale of a reference. Of a tensor that is (almost) zero everywhere, fp32's relative limit then
allows 1e-7, one rounding step of the values around 1 that it is the sum of."""

_QUANTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


@dataclass(frozen=True)
class TensorStatistics:
    """How far a test tensor is from its reference, over the values that are finite on both sides."""

    scale: float
    """Largest absolute reference value."""
    max_abs: float
    mean_abs: float
    p50: float
    """Quantiles of the absolute differences."""
    p99: float
    p999: float
    relative: float
    """``max_abs`` over ``scale``, the latter at least MAGNITUDE_FLOOR."""
    relative_p999: float
    cosine: float | None
    """Cosine similarity; 0 if only one tensor is zero, None if both are."""
    worst_index: tuple[int, ...]
    """Where the largest difference is."""
    worst_reference: float
    worst_test: float


@dataclass(frozen=True)
class NonFinite:
    """Values of a tensor pair that are no numbers, or infinite."""

    reference_nan: int = 0
    reference_inf: int = 0
    test_nan: int = 0
    test_inf: int = 0


@dataclass(frozen=True)
class TensorComparison:
    """A test tensor beside its reference; falsy if it is too far from it."""

    name: str
    failures: tuple[str, ...]
    """One clause for every limit that is broken; empty if the tensors agree."""
    shape: tuple[int, ...]
    statistics: TensorStatistics | None = None
    """None where there is nothing to compare: other shapes, no values, none finite on both sides."""
    non_finite: NonFinite = NonFinite()

    def __bool__(self) -> bool:
        return not self.failures

    @property
    def max_abs(self) -> float | None:
        """Largest absolute difference, None where nothing could be compared."""
        return None if self.statistics is None else self.statistics.max_abs

    @property
    def relative(self) -> float | None:
        """Largest absolute difference over the reference's scale."""
        return None if self.statistics is None else self.statistics.relative

    def message(self) -> str:
        """The broken limits, or the figures if none is."""
        if self.failures:
            return "; ".join(self.failures)
        found = self.statistics
        if found is None:
            return "empty on both sides"
        return f"relative {found.relative:.2e}, max abs {found.max_abs:.2e}, mean abs {found.mean_abs:.2e}"

    def details(self) -> dict[str, Any]:
        """JSON-ready figures."""
        figures: dict[str, Any] = {"shape": list(self.shape), **asdict(self.non_finite)}
        if self.statistics is not None:
            figures |= asdict(self.statistics)
            figures["worst_index"] = list(self.statistics.worst_index)
        return figures


@dataclass(frozen=True)
class TensorComparator:
    """Compares tensors by the tolerance of their name."""

    tolerances: Tolerances = field(default_factory=Tolerances)

    def compare(self, name: str, reference: npt.NDArray[Any], test: npt.NDArray[Any]) -> TensorComparison:
        """Compare ``test`` with ``reference``.

        Differing shapes or dtypes and values that are not finite, on either side, always fail.
        """
        shape = tuple(int(n) for n in test.shape)
        if reference.shape != test.shape:
            failure = f"shape {list(shape)}, reference {list(reference.shape)}"
            return TensorComparison(name, (failure,), shape)
        failures, non_finite = [], _count_non_finite(reference, test)
        if reference.dtype != test.dtype:
            failures.append(f"dtype {test.dtype}, reference {reference.dtype}")
        for side in ("reference", "test"):
            nan, inf = getattr(non_finite, f"{side}_nan"), getattr(non_finite, f"{side}_inf")
            if nan or inf:
                failures.append(
                    f"{nan + inf} of {test.size} values of the {side} are NaN or infinite ({nan} NaN)"
                )
        found = statistics(reference, test)
        if found is not None:
            broken = limit_failures(self.tolerances.of(name), found)
            if broken:
                at = f"worst at {list(found.worst_index)}"
                values = f"reference {found.worst_reference:.6g}, test {found.worst_test:.6g}"
                failures += [*broken, f"{at}: {values}"]
        return TensorComparison(name, tuple(failures), shape, found, non_finite)


def statistics(reference: npt.NDArray[Any], test: npt.NDArray[Any]) -> TensorStatistics | None:
    """Differences of two tensors of one shape, or None if no value is finite on both sides."""
    if reference.size and np.array_equal(reference, test) and np.isfinite(reference).all():
        return _equal(reference)
    a, b = reference.astype(np.float64), test.astype(np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    count = int(np.count_nonzero(finite))
    if not count:
        return None
    if count < finite.size:
        a, b = np.where(finite, a, 0.0), np.where(finite, b, 0.0)
    # Of 0-dimensional arrays numpy makes scalars.
    difference = np.asarray(np.abs(a - b))
    flat = int(difference.argmax())
    worst = tuple(int(i) for i in np.unravel_index(flat, difference.shape))
    max_abs = float(difference.flat[flat])
    scale = float(np.abs(a).max())
    quantiles = dict.fromkeys(_QUANTILES, 0.0)
    if max_abs > 0.0:
        values = np.quantile(difference[finite], list(_QUANTILES.values()))
        quantiles = {name: float(value) for name, value in zip(_QUANTILES, values, strict=True)}
    floor = max(scale, MAGNITUDE_FLOOR)
    return TensorStatistics(
        scale=scale,
        max_abs=max_abs,
        mean_abs=float(difference.sum()) / count,
        **quantiles,
        relative=max_abs / floor,
        relative_p999=quantiles["p999"] / floor,
        cosine=_cosine(a, b),
        worst_index=worst,
        worst_reference=float(a.flat[flat]),
        worst_test=float(b.flat[flat]),
    )


def _equal(values: npt.NDArray[Any]) -> TensorStatistics:
    """Statistics of a tensor and itself, without the passes over wide copies that others take."""
    first = (0,) * values.ndim
    value, scale = float(values[first]), float(np.abs(values).max())
    zeros = dict.fromkeys(("max_abs", "mean_abs", *_QUANTILES, "relative", "relative_p999"), 0.0)
    return TensorStatistics(
        scale=scale,
        **zeros,
        cosine=1.0 if scale else None,
        worst_index=first,
        worst_reference=value,
        worst_test=value,
    )


def limit_failures(tolerance: TensorTolerance, found: TensorStatistics) -> tuple[str, ...]:
    """One clause for every limit that the statistics break."""
    failures = []
    for figure in ("relative", "relative_p999", "max_abs", "mean_abs"):
        limit, value = getattr(tolerance, figure), getattr(found, figure)
        if limit is not None and not value <= limit:
            failures.append(f"{figure} {value:.2e} exceeds {limit:.2e}")
    limit, cosine = tolerance.min_cosine, found.cosine
    if limit is not None and cosine is not None and cosine < limit:
        failures.append(f"cosine {cosine:.6f} is below {limit:.6f}")
    return tuple(failures)


def _count_non_finite(reference: npt.NDArray[Any], test: npt.NDArray[Any]) -> NonFinite:
    counts = []
    for values in (reference, test):
        is_float = values.dtype.kind == "f"
        counts += [
            int(np.count_nonzero(np.isnan(values))) if is_float else 0,
            int(np.count_nonzero(np.isinf(values))) if is_float else 0,
        ]
    return NonFinite(*counts)


def _cosine(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float | None:
    lengths = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if not all(lengths):
        return 0.0 if any(lengths) else None
    return float(np.dot(a.ravel(), b.ravel())) / lengths[0] / lengths[1]
