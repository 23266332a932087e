from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from fake_backends import FakePipeline, FakeSurroundings, backend, keyed
from images_of_boxes import random_images

from awml_deploy_core.config.evaluation_schema import EvaluationSection
from awml_deploy_core.errors import EvaluationError
from awml_deploy_core.evaluation.classification import ClassificationTask
from awml_deploy_core.evaluation.detection2d import Detection2dTask
from awml_deploy_core.evaluation.detection3d_task import Detection3dTask
from awml_deploy_core.evaluation.orchestrator import EvaluationOrchestrator
from awml_deploy_core.evaluation.tasks import task_metric
from awml_deploy_core.family import Sample


def family(task: str, **methods: Any) -> Any:
    return SimpleNamespace(name="mine", task=task, **methods)


@pytest.mark.parametrize("kind", [Detection3dTask, Detection2dTask, ClassificationTask])
def test_task_is_found_by_its_name(kind: Any) -> None:
    assert isinstance(task_metric(family(kind.name), EvaluationSection()), kind)


def test_a_family_brings_its_own() -> None:
    own = ClassificationTask()
    assert task_metric(family("depth", task_metric=lambda: own), EvaluationSection()) is own
    with pytest.raises(EvaluationError, match=r"model family mine; got depth.*method task_metric"):
        task_metric(family("depth"), EvaluationSection())


def test_a_missing_library_is_a_check_and_no_frame_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    frames = random_images(3)
    pipeline: Any = FakePipeline(lambda index: frames[index].output)  # type: ignore[arg-type, return-value]
    samples = keyed([Sample(frame.sample_id, i, frame.truth) for i, frame in enumerate(frames)])
    section = EvaluationSection.model_validate({"latency": {"enabled": False}})
    surroundings = FakeSurroundings({"a": pipeline})
    orchestrator = EvaluationOrchestrator(surroundings, Detection2dTask(), section)
    result = orchestrator.run([backend("a")], samples)
    assert not result.verdict
    states = {check.name: (check.status.value, check.message) for check in result.verdict.checks}
    assert states["a:cpu / samples"][0] == "passed"
    assert states["a:cpu / accuracy"][0] == "error"
    assert "pip install pycocotools" in states["a:cpu / accuracy"][1]
    assert len(result.backends[0].worst) > 0
