"""Do two backends agree? Comparators, scenarios, the orchestrator and its verdict."""

from awml_deploy_core.verification.bisect import Bisection, Divergence
from awml_deploy_core.verification.boxes import DetectionsComparator, OutputComparison
from awml_deploy_core.verification.orchestrator import VerificationOrchestrator, VerificationSettings
from awml_deploy_core.verification.results import ScenarioResult, VerificationResult
from awml_deploy_core.verification.sample_checks import OutputComparator
from awml_deploy_core.verification.scenarios import Endpoint, Scenario
from awml_deploy_core.verification.tensors import TensorComparator, TensorComparison
from awml_deploy_core.verification.tolerances import BoxLimits, Tolerances
from awml_deploy_core.verification.verdict import CheckResult, Status, Verdict

__all__ = [
    "Bisection",
    "BoxLimits",
    "CheckResult",
    "DetectionsComparator",
    "Divergence",
    "Endpoint",
    "OutputComparator",
    "OutputComparison",
    "Scenario",
    "ScenarioResult",
    "Status",
    "TensorComparator",
    "TensorComparison",
    "Tolerances",
    "Verdict",
    "VerificationOrchestrator",
    "VerificationResult",
    "VerificationSettings",
]
