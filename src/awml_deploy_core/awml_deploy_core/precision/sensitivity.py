"""What lowering each layer group alone does to the component's outputs and to the result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from awml_deploy_core.config.precision_schema import Lowered
from awml_deploy_core.evaluation.backend_run import Results
from awml_deploy_core.family import Sample
from awml_deploy_core.pipeline import TensorTap
from awml_deploy_core.precision.budget import Budget
from awml_deploy_core.precision.comparison import compare_outputs, tensor_errors
from awml_deploy_core.precision.groups import LayerGroup
from awml_deploy_core.precision.measuring import Pipeline, Surroundings
from awml_deploy_core.precision.results import GroupSensitivity
from awml_deploy_core.precision.variants import VariantMaker
from awml_deploy_core.progress import Progress
from awml_deploy_core.verification import Endpoint
from awml_deploy_core.verification.tolerances import Tolerances

Trace = tuple[Any, TensorTap]


def traced(pipeline: Pipeline, samples: Sequence[Sample]) -> list[Trace]:
    """Result and tensors of every sample.

    Raises:
        AwmlDeployError: A sample cannot be loaded or run.
    """
    found = []
    for index in range(len(samples)):
        result, tap = pipeline.trace(samples[index].input)
        found.append((result.output, tap))
    return found


def measure_sensitivities(
    maker: VariantMaker,
    lowered: Lowered,
    surroundings: Surroundings,
    endpoint: Endpoint,
    samples: Sequence[Sample],
    tolerances: Tolerances,
    results: Results,
    budget: Budget,
    progress: Progress,
) -> tuple[GroupSensitivity, ...]:
    """Lower one group after the other; the most sensitive comes first in what is returned.

    Args:
        maker: Makes the files.
        lowered: What groups are lowered to.
        surroundings: Opens pipelines.
        endpoint: Where they run.
        samples: Few; loaded once for each group.
        tolerances: Of the precision, whose matching decides which boxes stay.
        results: Of earlier runs, by the group's title, and for this one's.
        budget: Groups that are not begun in time are missing in what is returned.
        progress: Told after every group.

    Raises:
        AwmlDeployError: A group cannot be lowered, opened or run.
    """
    groups = maker.groups(lowered)
    reference: list[Trace] | None = None
    found = []
    progress("sensitivity", 0, len(groups))
    for index, group in enumerate(groups):
        kept = _decoded(group, results.get(group.title))
        if kept is None:
            if budget.spent:
                break
            if reference is None:
                with surroundings.open_pipeline(maker.make(lowered, ()), endpoint, "fp32") as pipeline:
                    reference = traced(pipeline, samples)
            with surroundings.open_pipeline(maker.make(lowered, (group,)), endpoint, lowered) as pipeline:
                kept = _compare(group, reference, traced(pipeline, samples), tolerances)
            results.append(group.title, _encoded(kept))
        found.append(kept)
        progress("sensitivity", index + 1, len(groups))
    return tuple(sorted(found, key=lambda item: item.rank, reverse=True))


def _compare(
    group: LayerGroup, reference: list[Trace], lowered: list[Trace], tolerances: Tolerances
) -> GroupSensitivity:
    name = group.component
    taps = [(a.outputs, b.outputs) for (_, a), (_, b) in zip(reference, lowered, strict=True)]
    errors = tensor_errors(name, [(a[name], b[name]) for a, b in taps if name in a and name in b])
    outputs = [(a, b) for (a, _), (b, _) in zip(reference, lowered, strict=True)]
    worst = max(errors, key=lambda error: error.relative_p999, default=None)
    share = compare_outputs(outputs, tolerances).share
    if worst is None:
        return GroupSensitivity(group, 0.0, "", share)
    return GroupSensitivity(group, worst.relative_p999, worst.tensor, share)


def _encoded(found: GroupSensitivity) -> dict[str, Any]:
    """JSON has no infinity."""
    error = found.error if math.isfinite(found.error) else None
    return {"error": error, "tensor": found.tensor, "agreement": found.agreement}


def _decoded(group: LayerGroup, content: Mapping[str, Any] | None) -> GroupSensitivity | None:
    if content is None:
        return None
    error = content["error"]
    return GroupSensitivity(
        group, math.inf if error is None else error, content["tensor"], content["agreement"]
    )
