"""Metrics as Autoware's perception evaluation computes them."""

from awml_deploy_core.evaluation.autoware.metrics import (
    AutowareClass,
    AutowareMetrics,
    AutowareRange,
    PolicyMetrics,
)
from awml_deploy_core.evaluation.autoware.policies import POLICIES, MatchingPolicy
from awml_deploy_core.evaluation.autoware.score import evaluate_autoware

__all__ = [
    "POLICIES",
    "AutowareClass",
    "AutowareMetrics",
    "AutowareRange",
    "MatchingPolicy",
    "PolicyMetrics",
    "evaluate_autoware",
]
