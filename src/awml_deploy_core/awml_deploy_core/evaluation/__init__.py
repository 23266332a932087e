"""How good and how fast a model is."""

from awml_deploy_core.evaluation.detection3d import evaluate_detections
from awml_deploy_core.evaluation.frames import EvaluatedFrame, filter_frame
from awml_deploy_core.evaluation.metrics import (
    ClassMetrics,
    DetectionMetrics,
    LeftOut,
    RangeMetrics,
    TpErrors,
)
from awml_deploy_core.evaluation.precision_recall import Counts, FrameMatch, PrecisionRecall, match_frame
from awml_deploy_core.evaluation.settings import DetectionMetricSettings

__all__ = [
    "ClassMetrics",
    "Counts",
    "DetectionMetricSettings",
    "DetectionMetrics",
    "EvaluatedFrame",
    "FrameMatch",
    "LeftOut",
    "PrecisionRecall",
    "RangeMetrics",
    "TpErrors",
    "evaluate_detections",
    "filter_frame",
    "match_frame",
]
