"""Pre-processing, sessions and post-processing as one object that serves every caller."""

from awml_deploy_core.pipeline.candidates import Candidates, OffersCandidates, SuppressionRule
from awml_deploy_core.pipeline.inference import (
    InferencePipeline,
    InferenceResult,
    TensorTap,
    require_sessions,
)
from awml_deploy_core.pipeline.latency import StageClock, StageLatencies, StageLatency
from awml_deploy_core.pipeline.result import Result

__all__ = [
    "Candidates",
    "InferencePipeline",
    "InferenceResult",
    "OffersCandidates",
    "Result",
    "StageClock",
    "StageLatencies",
    "StageLatency",
    "SuppressionRule",
    "TensorTap",
    "require_sessions",
]
