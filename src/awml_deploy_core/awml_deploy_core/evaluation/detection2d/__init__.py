"""2D detection as a task of the evaluation: COCO's average precision and recall."""

from awml_deploy_core.evaluation.detection2d.task import Detection2dTask

__all__ = ["Detection2dTask"]
