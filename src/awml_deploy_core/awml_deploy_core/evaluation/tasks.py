"""The tasks that can be measured."""

from __future__ import annotations

from typing import Any

from awml_deploy_core.config.evaluation_schema import EvaluationSection
from awml_deploy_core.errors import EvaluationError
from awml_deploy_core.evaluation.detection3d_task import Detection3dTask
from awml_deploy_core.evaluation.task import TaskMetric


def task_metric(name: str, section: EvaluationSection) -> TaskMetric[Any, Any]:
    """What measures a task.

    Raises:
        EvaluationError: Nothing does.
        ParameterError: Its configuration contradicts itself.
    """
    if name == Detection3dTask.name:
        return Detection3dTask(section.detection3d)
    raise EvaluationError("task", "there are no metrics for it", got=name, expected=Detection3dTask.name)
