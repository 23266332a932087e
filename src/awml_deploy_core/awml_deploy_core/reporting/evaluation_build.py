"""From an evaluation's result to its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from awml_deploy_core.evaluation.results import BackendResult, EvaluationResult, JudgedFrame
from awml_deploy_core.evaluation.task import TaskMetric
from awml_deploy_core.reporting.evaluation_result import (
    EvaluatedBackendRecord,
    EvaluationRecord,
    EvidenceRecord,
)
from awml_deploy_core.reporting.verification_build import check_record

Pictures = Mapping[tuple[str, int], str]
"""Path of the picture by name of the backend and position of the frame."""


def evaluation_record(
    result: EvaluationResult,
    task: TaskMetric[object, object],
    sources: Sequence[str],
    pictures: Pictures | None = None,
    floors: int = 0,
) -> EvaluationRecord:
    """Record of an evaluation on the samples of ``sources``."""
    verdict = result.verdict
    return EvaluationRecord(
        status=verdict.status.value,
        summary=verdict.summary(),
        task=result.task,
        samples=tuple(sources),
        num_samples=result.num_samples,
        floors=floors,
        backends=tuple(_backend_record(backend, task, pictures or {}) for backend in result.backends),
        checks=tuple(map(check_record, result.checks)),
    )


def _backend_record(
    result: BackendResult, task: TaskMetric[object, object], pictures: Pictures
) -> EvaluatedBackendRecord:
    def evidence(judged: JudgedFrame) -> EvidenceRecord:
        return EvidenceRecord(
            sample=judged.frame.sample_id,
            score=judged.score.score,
            summary=judged.score.summary,
            judged_by=judged.judged_by,
            output=tuple(task.records(judged.frame.output)),
            picture=pictures.get((result.name, judged.index)),
        )

    return EvaluatedBackendRecord(
        name=result.name,
        required=result.backend.required,
        status=result.status.value,
        seconds=result.seconds,
        frames=len(result.run.frames) if result.run else 0,
        resumed=result.run.resumed if result.run else 0,
        accuracy=result.accuracy,
        accuracy_missing=result.accuracy_missing,
        agreement=result.agreement,
        agreement_missing=result.agreement_missing,
        latency=result.latency,
        latency_missing=result.latency_missing,
        memory=result.memory,
        size_bytes=result.size_bytes,
        figures=result.figures(),
        best=tuple(map(evidence, result.best)),
        worst=tuple(map(evidence, result.worst)),
        checks=tuple(map(check_record, result.checks)),
    )
