"""Which scenarios a verification runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from awml_deploy_core.config import scenarios
from awml_deploy_core.config.scenarios import chosen_scenarios, machine_scenarios
from awml_deploy_core.config.schema import DeployConfig
from awml_deploy_core.runtime.session import Availability


class FakeBackend:
    def __init__(self, *devices: str) -> None:
        self.devices = devices

    def availability(self, device: object) -> Availability:
        return Availability(str(device) in self.devices, "")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeBackend]:
    backends = {
        "onnxruntime": FakeBackend("cpu", "cuda:0"),
        "pytorch": FakeBackend("cpu"),
        "tensorrt": FakeBackend("cuda:0"),
    }
    monkeypatch.setattr(scenarios, "available_backends", lambda: tuple(sorted(backends)))
    monkeypatch.setattr(scenarios, "load_backend", backends.__getitem__)
    return backends


def titles(found: Any) -> list[str]:
    return [scenario.title for scenario in found]


@pytest.mark.usefixtures("machine")
def test_with_a_checkpoint_everything_is_compared_with_pytorch() -> None:
    assert titles(machine_scenarios(has_checkpoint=True, has_engines=True)) == [
        "pytorch:cpu vs onnxruntime:cpu",
        "pytorch:cpu vs onnxruntime:cuda:0",
        "pytorch:cpu vs tensorrt:cuda:0",
    ]
    assert all(scenario.required for scenario in machine_scenarios(has_checkpoint=True))


@pytest.mark.usefixtures("machine")
def test_without_a_checkpoint_with_onnx_runtime() -> None:
    assert titles(machine_scenarios(has_checkpoint=False, has_engines=True)) == [
        "onnxruntime:cpu vs onnxruntime:cuda:0",
        "onnxruntime:cpu vs tensorrt:cuda:0",
    ]


@pytest.mark.usefixtures("machine")
def test_without_engines_tensorrt_is_left_out() -> None:
    found = titles(machine_scenarios(has_checkpoint=True))
    assert found == ["pytorch:cpu vs onnxruntime:cpu", "pytorch:cpu vs onnxruntime:cuda:0"]


def test_a_machine_without_onnx_runtime_does_not_check_less(machine: dict[str, FakeBackend]) -> None:
    machine["onnxruntime"] = FakeBackend()
    machine["tensorrt"] = FakeBackend()
    for has_checkpoint in (True, False):
        found = machine_scenarios(has_checkpoint=has_checkpoint)
        assert titles(found) == ["pytorch:cpu vs onnxruntime:cpu"]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("onnx", ["pytorch:cpu vs onnxruntime:cpu", "pytorch:cpu vs onnxruntime:cuda:0"]),
        ("none", ["pytorch:cpu vs onnxruntime:cpu", "file"]),
    ],
)
def test_configured_scenarios_are_those_of_the_export_mode(
    tmp_path: Path, mode: str, expected: list[str]
) -> None:
    both = {"reference": "pytorch:cpu", "test": "onnxruntime:cpu"}
    gpu = {"reference": "pytorch:cpu", "test": "onnxruntime:cuda"}
    config = DeployConfig.model_validate(
        {
            "name": "demo",
            "model": {"family": "toy"},
            "work_dir": str(tmp_path),
            "export": {"mode": mode},
            "verification": {
                "scenarios": [both],
                "scenarios_by_mode": {"onnx": [gpu], "none": [{"name": "file", **gpu}]},
            },
        },
        context={"base": tmp_path},
    )
    assert titles(chosen_scenarios(config)) == expected
