"""How far the tensors and results of a lowered model are from those of the FP32 one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.precision.results import Agreement, Spread, TensorError
from awml_deploy_core.verification.comparators import compare_results
from awml_deploy_core.verification.matching import match_boxes, pair_differences
from awml_deploy_core.verification.tensors import TensorComparator
from awml_deploy_core.verification.tolerances import Tolerances

_QUANTITIES = ("position", "size", "yaw", "velocity", "score")
Arrays = Mapping[str, npt.NDArray[Any]]


def compare_outputs(pairs: Sequence[tuple[Any, Any]], tolerances: Tolerances) -> Agreement:
    """Compare results, the FP32 one first of each pair.

    Boxes in 3D are matched one to one as in verification, with its limits for the precision.

    Args:
        pairs: One a frame.
        tolerances: Of the variant's precision.
    """
    if not all(isinstance(output, Detections) for pair in pairs for output in pair):
        comparator = compare_results(tolerances)
        agreeing = sum(bool(comparator.compare(*pair)) for pair in pairs)
        return Agreement(len(pairs), agreeing / len(pairs) if pairs else 1.0)
    matched = alone = new = 0
    columns: dict[str, list[npt.NDArray[np.float64]]] = defaultdict(list)
    for reference, output in pairs:
        matching = match_boxes(reference, output, tolerances.boxes)
        matched += len(matching.pairs)
        alone += len(matching.lone_reference)
        new += len(matching.lone_test)
        if matching.pairs:
            rows, others = (np.array([pair[side] for pair in matching.pairs], np.int64) for side in (0, 1))
            differences = pair_differences(reference.select(rows), output.select(others))
            for name in _QUANTITIES:
                columns[name].append(differences[name])
    total = 2 * matched + alone + new
    return Agreement(
        len(pairs),
        2 * matched / total if total else 1.0,
        matched,
        alone,
        new,
        {name: _spread(np.concatenate(values)) for name, values in columns.items()},
    )


def _spread(values: npt.NDArray[np.float64]) -> Spread:
    p50, p99 = (float(value) for value in np.percentile(values, (50, 99)))
    return Spread(p50, p99, float(values.max()))


def tensor_errors(component: str, pairs: Iterable[tuple[Arrays, Arrays]]) -> tuple[TensorError, ...]:
    """The worst of every output of a component, FP32 first of each pair.

    A tensor that is not finite, or of another shape, has infinite errors.
    """
    comparator = TensorComparator()
    worst: dict[str, TensorError] = {}
    for reference, output in pairs:
        for name, values in reference.items():
            comparison = comparator.compare(name, values, output[name])
            found, finite = comparison.statistics, comparison.non_finite
            if found is None or finite.test_nan or finite.test_inf:
                error = TensorError(component, name, np.inf, np.inf, None)
            else:
                error = TensorError(component, name, found.relative, found.relative_p999, found.cosine)
            worst[name] = _worse(worst[name], error) if name in worst else error
    return tuple(worst.values())


def _worse(a: TensorError, b: TensorError) -> TensorError:
    cosines = [value for value in (a.cosine, b.cosine) if value is not None]
    return TensorError(
        a.component,
        a.tensor,
        max(a.relative, b.relative),
        max(a.relative_p999, b.relative_p999),
        min(cosines, default=None),
    )
