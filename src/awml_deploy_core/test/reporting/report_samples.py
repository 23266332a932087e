"""Reports with everything in them, made of what the orchestrators return."""

from __future__ import annotations

from typing import Any

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.device import CPU
from awml_deploy_core.evaluation.detection3d_task import Detection3dTask
from awml_deploy_core.evaluation.latency import MeasuredFrame, latency_statistics
from awml_deploy_core.evaluation.memory import MemoryUse
from awml_deploy_core.evaluation.results import (
    BackendResult,
    EvaluatedBackend,
    EvaluationResult,
    FrameRun,
    JudgedFrame,
)
from awml_deploy_core.evaluation.task import FrameScore, TaskFrame
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.pipeline import StageLatencies, StageLatency
from awml_deploy_core.reporting import Report
from awml_deploy_core.reporting.build import exit_code
from awml_deploy_core.reporting.evaluation_build import evaluation_record
from awml_deploy_core.runner.reports import make_report
from awml_deploy_core.verification import CheckResult, Endpoint, Status

HOSTILE = '<script>alert("x")</script> & \x00 </table>'

STATES = {
    "passes": (Status.PASSED, True),
    "fails": (Status.FAILED, True),
    "is required and skipped": (Status.SKIPPED, True),
    "is optional and skipped": (Status.SKIPPED, False),
    "breaks": (Status.ERROR, True),
}


def check(name: str) -> CheckResult:
    """One of the states, with a message that no view may take for its own language."""
    status, required = STATES[name]
    return CheckResult(name, status, HOSTILE, required)


def cars(count: int) -> Detections:
    """Cars in a row."""
    places = np.zeros((count, 3), np.float32)
    places[:, 0] = 10 * np.arange(count)
    sizes = np.ones((count, 3), np.float32)
    zeros, labels = np.zeros(count, np.float32), np.zeros(count, np.int32)
    velocities = np.zeros((count, 2), np.float32)
    return Detections(places, sizes, zeros, velocities, zeros + 1, labels, ("CAR", HOSTILE))


def evaluation(*checks: CheckResult, picture: str | None = None, **parts: Any) -> Report:
    """A report of an evaluation of one backend with these checks."""
    task: Any = Detection3dTask()
    there = GroundTruth(cars(3), np.full(3, 5, np.int32), np.full(3, -1, np.int32))
    frame = TaskFrame("s0", cars(3), there)
    stages = StageLatencies((StageLatency("encode", 5.0), StageLatency("nms", 1.0)))
    times = [MeasuredFrame("s0", 10.0 + i % 7, stages) for i in range(50)]
    judged = JudgedFrame(0, frame, FrameScore(score=0.5, summary=HOSTILE), "ground truth")
    known = {
        "run": FrameRun({0: frame}, (), 0),
        "accuracy": task.evaluate([frame]),
        "agreement_missing": "it is the reference",
        "latency": latency_statistics(times),
        "memory": MemoryUse(before_mb=1.0, peak_mb=2.0, is_own_peak=True),
        "size_bytes": 10,
        "worst": (judged,),
    }
    backend = BackendResult(EvaluatedBackend(Endpoint("fake", CPU)), checks, 1.0, **{**known, **parts})
    result = EvaluationResult("detection3d", 1, (backend,))
    drawn = {} if picture is None else {("fake:cpu", 0): picture}
    record = evaluation_record(result, task, [f"data {HOSTILE}"], drawn, 1)
    code = exit_code(Status(record.status))
    return make_report("evaluate", HOSTILE, evaluation=record, exit_code=code)
