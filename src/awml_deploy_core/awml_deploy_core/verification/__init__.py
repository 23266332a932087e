"""Do two backends agree? Comparators, scenarios, the orchestrator and its verdict."""

from awml_deploy_core.verification.boxes import DetectionsComparator, OutputComparison
from awml_deploy_core.verification.orchestrator import (
    ScenarioResult,
    VerificationOrchestrator,
    VerificationResult,
)
from awml_deploy_core.verification.sample_checks import OutputComparator
from awml_deploy_core.verification.scenarios import Endpoint, Scenario
from awml_deploy_core.verification.tensors import TensorComparator, TensorComparison
from awml_deploy_core.verification.verdict import CheckResult, Status, Verdict

__all__ = [
    "CheckResult",
    "DetectionsComparator",
    "Endpoint",
    "OutputComparator",
    "OutputComparison",
    "Scenario",
    "ScenarioResult",
    "Status",
    "TensorComparator",
    "TensorComparison",
    "Verdict",
    "VerificationOrchestrator",
    "VerificationResult",
]
