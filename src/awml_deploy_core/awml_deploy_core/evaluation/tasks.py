"""The tasks that can be measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from awml_deploy_core.config.evaluation_schema import EvaluationSection
from awml_deploy_core.errors import EvaluationError
from awml_deploy_core.evaluation.classification import ClassificationTask
from awml_deploy_core.evaluation.detection2d import Detection2dTask
from awml_deploy_core.evaluation.detection3d_task import Detection3dTask
from awml_deploy_core.evaluation.task import TaskMetric
from awml_deploy_core.family import ModelFamily

_TASKS: Mapping[str, Callable[[EvaluationSection], TaskMetric[Any, Any]]] = {
    Detection3dTask.name: lambda section: Detection3dTask(section.detection3d),
    Detection2dTask.name: lambda section: Detection2dTask(section.detection2d),
    ClassificationTask.name: lambda section: ClassificationTask(),
}


@runtime_checkable
class ProvidesTaskMetric(Protocol):
    """A model family whose results only it can measure. Optional."""

    def task_metric(self) -> TaskMetric[Any, Any]:
        """What measures the family's task."""
        ...


def task_metric(family: ModelFamily[Any], section: EvaluationSection) -> TaskMetric[Any, Any]:
    """What measures the task of a family: its own metric if it brings one, else that of its task's name.

    Raises:
        EvaluationError: Nothing does.
        ParameterError: Its configuration contradicts itself.
    """
    if isinstance(family, ProvidesTaskMetric):
        return family.task_metric()
    make = _TASKS.get(family.task)
    if make is None:
        raise EvaluationError(
            "task",
            f"there are no metrics for that of model family {family.name}",
            got=family.task,
            expected=" or ".join(_TASKS),
            hint="A family with results of its own brings their metric: method task_metric.",
        )
    return make(section)
