"""Classification as a task of the evaluation."""

from awml_deploy_core.evaluation.classification.task import ClassificationTask

__all__ = ["ClassificationTask"]
