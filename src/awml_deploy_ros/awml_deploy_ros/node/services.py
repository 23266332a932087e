"""Services that take their time, beside everything else that the node does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from awml_deploy_core.errors import AwmlDeployError, ProcessError
from awml_deploy_ros.diagnostics import StatusReport
from awml_deploy_ros.latency import LatencySummary
from awml_deploy_ros.model import OpenModel
from awml_deploy_ros.node.evidence import default_folder, write_evidence
from awml_deploy_ros.node.selftest import SelftestRunner
from awml_deploy_ros.process import FatalErrors
from awml_deploy_ros.topics import SELF_TEST, WRITE_EVIDENCE


@dataclass(frozen=True, eq=False)
class NodeFacts:
    """What the services tell of a configured node."""

    model: OpenModel
    evidence_folder: str
    """Empty for the usual one."""
    files: Mapping[str, str]
    """Content by name of what describes model and parameters."""
    latencies: Sequence[LatencySummary]
    reports: Sequence[StatusReport]


class SlowServices:
    """Self-test and evidence pack, one at a time in a callback group of their own.

    Args:
        node: Whose services they are.
        facts: Gives what is to be told now; None where no model is loaded.
        fatal: Where unexpected exceptions go.
    """

    def __init__(self, node: Node, facts: Callable[[], NodeFacts | None], fatal: FatalErrors) -> None:
        self._node = node
        self._facts = facts
        self._fatal = fatal
        self.selftest = SelftestRunner()
        self.group = MutuallyExclusiveCallbackGroup()
        jobs = {SELF_TEST: self.self_test, WRITE_EVIDENCE: self.write_evidence}
        self._services = [
            node.create_service(Trigger, spec.name, self._answering(job), callback_group=self.group)
            for spec, job in jobs.items()
        ]

    def self_test(self) -> tuple[bool, str]:
        """Test the model in the node's backend: whether it passed, and what there is to say.

        Raises:
            ProcessError: There is no model, or no result.
        """
        model = self._configured().model
        outcome = self.selftest.run(model.bundle_path, f"{model.identity.backend}:{model.identity.device}")
        return outcome.passed, str(outcome)

    def write_evidence(self) -> tuple[bool, str]:
        """Write an evidence pack and say where.

        Raises:
            ProcessError: There is no model.
            ArtifactError: The pack cannot be written.
        """
        facts = self._configured()
        folder = Path(facts.evidence_folder).expanduser() if facts.evidence_folder else default_folder()
        name = self._node.get_fully_qualified_name()
        return True, str(write_evidence(folder, name, facts.files, facts.latencies, facts.reports))

    def stop(self) -> None:
        """End what is in work and refuse more."""
        self.selftest.close()

    def close(self) -> None:
        """Destroy the services."""
        for service in self._services:
            self._node.destroy_service(service)

    def _configured(self) -> NodeFacts:
        facts = self._facts()
        if facts is None:
            raise ProcessError(self._node.get_name(), "has no model", hint="Configure the node first.")
        return facts

    def _answering(self, job: Callable[[], tuple[bool, str]]) -> Callable[[Any, Any], Any]:
        def answer(request: Any, response: Any) -> Any:
            response.success, response.message = False, "an unexpected error ends the node"
            with self._fatal:
                try:
                    response.success, response.message = job()
                except AwmlDeployError as error:
                    response.success, response.message = False, f"{type(error).__name__}: {error}"
            return response

        return answer
