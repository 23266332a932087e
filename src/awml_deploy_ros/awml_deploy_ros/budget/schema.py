"""The file ``latency_budget.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from awml_deploy_core.config.document import read_document
from awml_deploy_core.errors import ConfigError
from awml_deploy_core.validation import located_problems

END_TO_END = "end_to_end"
"""From the arrival of an input in the node to its record [ms]."""
PROCESSING_TIME = "processing_time"
"""Sum of all stages but the waits in the queue and for transforms [ms]."""
CYCLIC_TIME = "cyclic_time"
"""Between two results [ms]."""
TOTALS = (END_TO_END, PROCESSING_TIME, CYCLIC_TIME)

Milliseconds = Annotated[float, Field(gt=0, le=60_000, allow_inf_nan=False)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limit(_Frozen):
    """What one stage may take, by the names of Autoware's diagnostics parameters."""

    max_allowed_processing_time_ms: Milliseconds
    """Above it a frame is late (WARN)."""
    max_acceptable_consecutive_delay_ms: Milliseconds | None = None
    """Late for longer than this without one frame in time is too late (ERROR); None: that of the file."""


class LatencyBudget(_Frozen):
    """The content of a budget file."""

    max_acceptable_consecutive_delay_ms: Milliseconds = 1000.0
    """Of every limit that has none of its own."""
    end_to_end: Limit | None = None
    processing_time: Limit | None = None
    cyclic_time: Limit | None = None
    stages: Mapping[str, Limit] = Field(default_factory=dict)
    """By the name of the stage in the record of a frame."""

    def limits(self) -> dict[str, Limit]:
        """Every limit by the name of what it limits, totals first, its delay filled in."""
        totals = {name: limit for name in TOTALS if (limit := getattr(self, name)) is not None}
        delay = self.max_acceptable_consecutive_delay_ms
        return {
            name: limit
            if limit.max_acceptable_consecutive_delay_ms is not None
            else limit.model_copy(update={"max_acceptable_consecutive_delay_ms": delay})
            for name, limit in {**totals, **self.stages}.items()
        }


def read_budget(path: Path) -> LatencyBudget:
    """Read a budget file.

    Raises:
        ConfigError: It is missing, no YAML, limits nothing, or any key or value is wrong; all problems
            are listed, each with its line.
    """
    document = read_document(path)
    problems = list(document.problems)
    try:
        budget = LatencyBudget.model_validate(document.content)
    except ValidationError as error:
        for location, clause in located_problems(error, LatencyBudget):
            dotted = ".".join(map(str, location))
            line = document.line(location)
            problems.append(f"line {line}: {dotted}: {clause}" if line else f"{dotted}: {clause}")
        raise ConfigError(path, "is not a latency budget", problems=problems) from error
    problems += [f"stages.{name}: is a total, not a stage" for name in TOTALS if name in budget.stages]
    if not budget.limits():
        problems.append(f"limits nothing; expected {', '.join(TOTALS)} or stages")
    if problems:
        raise ConfigError(path, "is not a latency budget", problems=problems)
    return budget
