"""Jobs on a Ray cluster (optional package ``ray``): the same requests, the same result files.

Every node of the cluster has to have this package, and to see bags, models and the report folder under
the same paths.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from awml_deploy_core.errors import ProcessError
from awml_deploy_core.packages import require_package
from awml_deploy_ros.replay.execute import execute
from awml_deploy_ros.replay.executors import MAX_ATTEMPTS, JobEnd, OnEnd
from awml_deploy_ros.replay.request import ReplayRequest
from awml_deploy_ros.replay.worker import quiet


def require_ray() -> Any:
    """The module ``ray``.

    Raises:
        MissingDependencyError: It is not installed.
    """
    require_package("ray", "for --executor ray", "2.9")
    # Nothing of a vehicle's data leaves the machine unasked.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    return ray


class RayExecutor:
    """Hands every job to Ray as one task, which Ray begins again where its worker dies.

    Args:
        workers: Jobs at a time of a Ray that is started here; a cluster has its own resources.
        address: Of a running cluster; None starts Ray on this machine, for as long as the jobs last.
        cpus: Processors that a job takes, by which a cluster decides how many run at a time.
    """

    def __init__(self, workers: int, address: str | None = None, cpus: float = 1.0) -> None:
        self._ray = require_ray()
        self._workers = workers
        self._address = address
        self._cpus = cpus

    def run(self, requests: Sequence[ReplayRequest], on_end: OnEnd) -> None:
        """See :meth:`~awml_deploy_ros.replay.executors.Executor.run`.

        Raises:
            ProcessError: The cluster does not answer.
        """
        ray = self._ray
        self._connect()
        try:
            # A process of its own for every job, as on one machine.
            task = ray.remote(num_cpus=self._cpus, max_retries=MAX_ATTEMPTS - 1, max_calls=1)(_job)
            pending = {task.remote(request.to_json()): request for request in requests}
            while pending:
                (done, *_), _ = ray.wait(list(pending), num_returns=1)
                on_end(self._end(pending.pop(done), done))
        finally:
            ray.shutdown()

    def _connect(self) -> None:
        own: dict[str, Any] = {}
        if self._address is None:
            own = {"num_cpus": max(1, round(self._workers * self._cpus)), "include_dashboard": False}
        try:
            self._ray.init(address=self._address or "local", log_to_driver=False, **own)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise ProcessError(
                "Ray", "cannot be reached", got=" ".join(str(error).split()), expected=self._address
            ) from error

    def _end(self, request: ReplayRequest, done: Any) -> JobEnd:
        try:
            self._ray.get(done)
        except self._ray.exceptions.RayError as error:
            lines = str(error).strip().splitlines()
            return JobEnd(
                request, ProcessError(request.name, "has no result from Ray", problems=lines[-8:])
            )
        return JobEnd(request)


def _job(text: str) -> int:
    """In a worker of Ray."""
    return int(execute(ReplayRequest.from_json(text), quiet).exit_code)
