"""Known points and known classes, and that they find what is wrong with the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from classifier_weights import SMALL, state_dict

from awml_deploy_core.classification import Classification
from awml_deploy_core.device import CPU
from awml_deploy_core.errors import ExportError
from awml_deploy_core.family import Probe, ProvidesProbes
from awml_deploy_core.verification import Status
from awml_deploy_core.verification.probing import Decoder, run_probes
from awml_extractors.calibration_status import pipeline, projection
from awml_extractors.calibration_status.family import CalibrationStatusFamily
from awml_extractors.calibration_status.model import CalibrationStatusClassifier

FAMILY = CalibrationStatusFamily()
RIGHT_INPUT, RIGHT_PROJECT = pipeline.make_input, projection.project


def judged(probes: Sequence[Probe], raw: dict[str, Any]) -> list[str]:
    decoders = [Decoder("bundle", FAMILY.parse_config(raw), CPU)]
    checks = list(run_probes(FAMILY, probes, decoders))
    # What is fed, and what comes out.
    assert len(checks) == 2 * len(probes)
    return [f"{check.name}: {check.message}" for check in checks if check.status is not Status.PASSED]


def failures(raw: dict[str, Any], decoder: dict[str, Any] | None = None) -> list[str]:
    return judged(FAMILY.probes(FAMILY.parse_config(raw)), {**raw, **(decoder or {})})


@pytest.mark.parametrize(
    "raw",
    [
        SMALL,
        {"batch_size": 3, "height": 64, "width": 48, "dilation_size": 0},
        {"dilation_size": 16, "height": 200, "width": 320, "max_depth": 50.0},
    ],
)
def test_points_and_classes_come_back(raw: dict[str, Any]) -> None:
    assert isinstance(FAMILY, ProvidesProbes)
    assert not failures(raw)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"class_names": ["calibrated", "miscalibrated"]}, "class names"),
        ({"max_depth": 100.0}, "input: "),
        ({"dilation_size": 2}, "input: "),
    ],
)
def test_another_configuration_is_found(changes: dict[str, Any], problem: str) -> None:
    assert any(problem in failure for failure in failures(SMALL, changes))


def _input(change: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Any]:
    def made(*args: Any) -> Any:
        tensor, points = RIGHT_INPUT(*args)
        return change(tensor), points

    return made


def _points(**changes: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Any]:
    def made(*args: Any) -> Any:
        points = RIGHT_PROJECT(*args)
        return replace(points, **{name: change(getattr(points, name)) for name, change in changes.items()})

    return made


FAULTS: dict[str, tuple[Any, str, Any]] = {
    "red, green, blue": (pipeline, "make_input", _input(lambda t: t[:, [2, 1, 0, 3, 4]])),
    "intensity before depth": (pipeline, "make_input", _input(lambda t: t[:, [0, 1, 2, 4, 3]])),
    "not divided by 255": (pipeline, "make_input", _input(lambda t: t * np.float32(255))),
    "a pixel off": (projection, "project", _points(pixels=lambda p: p + 1)),
    "columns and rows swapped": (projection, "project", _points(pixels=lambda p: p[:, ::-1])),
    "farthest point seen": (projection, "project", _points(depths=lambda d: 200 - d)),
    "order of the classes": (
        pipeline.Classification,
        "from_logits",
        classmethod(lambda cls, logits, names: Classification(_softmax(logits[::-1]), names)),
    ),
    "sigmoid for softmax": (
        pipeline.Classification,
        "from_logits",
        classmethod(lambda cls, logits, names: Classification(1 / (1 + np.exp(-logits)), names)),
    ),
}


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return (powers / powers.sum()).astype(np.float32)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, wrong = FAULTS[fault]
    monkeypatch.setattr(where, name, wrong)
    assert failures(SMALL)


def test_image_that_stays_distorted_is_projected_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "distort", lambda points, distortion: points)
    (found,) = {failure.partition(" / bundle")[0] for failure in failures(SMALL)}
    assert found == "probe / image that is not rectified"


def test_extracted_network_says_the_class() -> None:
    model = CalibrationStatusClassifier(5, 2)
    model.load_state_dict(state_dict())
    config = FAMILY.parse_config(SMALL)
    assert not judged(FAMILY.extractor_probes(config, model), SMALL)
    assert torch.equal(model.head.get_parameter("fc.weight"), state_dict()["head.fc.weight"])
    with pytest.raises(ExportError, match="CalibrationStatusClassifier"):
        FAMILY.extractor_probes(config, torch.nn.Identity())


def test_fault_of_the_extraction_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = CalibrationStatusClassifier.forward
    monkeypatch.setattr(
        CalibrationStatusClassifier, "forward", lambda self, image: right(self, image).flip(1)
    )
    probes = FAMILY.extractor_probes(FAMILY.parse_config(SMALL), CalibrationStatusClassifier(5, 2))
    assert judged(probes, SMALL)
