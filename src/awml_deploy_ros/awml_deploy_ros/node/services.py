"""Services that take their time, beside everything else that the node does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_ros.process import FatalErrors
from awml_deploy_ros.topics import SELF_TEST, WRITE_EVIDENCE


class SlowServices:
    """Self-test and evidence pack, one at a time in a callback group of their own.

    Args:
        node: Whose services they are.
        self_test: Tests the model; whether it passed, and what there is to say.
        write_evidence: Writes a pack and says where.
        fatal: Where unexpected exceptions go.
    """

    def __init__(
        self,
        node: Node,
        self_test: Callable[[], tuple[bool, str]],
        write_evidence: Callable[[], str],
        fatal: FatalErrors,
    ) -> None:
        self._node = node
        self._fatal = fatal
        self.group = MutuallyExclusiveCallbackGroup()
        jobs = {SELF_TEST: self_test, WRITE_EVIDENCE: lambda: (True, write_evidence())}
        self._services = [
            node.create_service(Trigger, spec.name, self._answering(job), callback_group=self.group)
            for spec, job in jobs.items()
        ]

    def close(self) -> None:
        """Destroy the services."""
        for service in self._services:
            self._node.destroy_service(service)

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
