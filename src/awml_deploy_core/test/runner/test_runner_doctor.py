from __future__ import annotations

from typing import Any

import pytest

from awml_deploy_core.runner import doctor
from awml_deploy_core.runner.doctor import diagnose
from awml_deploy_core.runtime.session import Availability


class Backend:
    name = "only"

    def __init__(self, available: bool) -> None:
        self._available = available

    def availability(self, device: object) -> Availability:
        return Availability(self._available, "detail", "pip install it")


def use(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    for name, value in changes.items():
        monkeypatch.setattr(doctor, name, value)


def test_without_a_usable_backend_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, available_backends=lambda: ("only",), load_backend=lambda _: Backend(False))
    diagnosis = diagnose()
    assert not diagnosis
    infer = next(ability for ability in diagnosis.abilities if ability.job == "infer")
    assert "a usable backend" in infer.missing
    finding = next(f for f in diagnosis.findings if f.name == "only:cpu")
    assert finding.hint == "pip install it"


def test_without_a_family_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, available_families=tuple)
    diagnosis = diagnose()
    assert not diagnosis
    assert any(f.hint == "pip install awml_extractors" for f in diagnosis.findings)


def test_every_gpu_is_asked_of_every_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    use(
        monkeypatch,
        available_backends=lambda: ("only",),
        load_backend=lambda _: Backend(True),
        cuda_device_count=lambda: 2,
        _gpu_names=lambda: ["GPU A", "GPU B"],
    )
    names = [f.name for f in diagnose().findings if f.group == "backend"]
    assert names == ["only:cpu", "only:cuda:0", "only:cuda:1"]
    assert next(f for f in diagnose().findings if f.group == "gpu").detail == "GPU A, GPU B"


@pytest.mark.parametrize(
    ("distro", "package", "expected"),
    [
        ("jazzy", "vision_msgs", "sudo apt install ros-jazzy-vision-msgs"),
        ("", "sensor_msgs", "or pip install ros-sensor-msgs"),
        ("", "vision_msgs", "or source one that has it"),
    ],
)
def test_hints_fit_the_installation(distro: str, package: str, expected: str) -> None:
    assert doctor._ros_hint(package, distro).endswith(expected)
