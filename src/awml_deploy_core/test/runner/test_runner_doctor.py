from __future__ import annotations

from pathlib import Path
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
    assert any(f.hint == "pip install src/awml_extractors" for f in diagnosis.findings)


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


@pytest.mark.usefixtures("toy")
def test_what_export_and_the_node_need_is_all_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_none_cpp")
    packages = {"torch": "2", "onnx": "1", "onnxscript": "1"}
    use(monkeypatch, installed_versions=lambda names: {n: v for n, v in packages.items() if n in names})
    missing = {ability.job: ability.missing for ability in diagnose().abilities}
    assert missing["export"] == ("onnxslim",)
    assert "rmw_none_cpp" in missing["run the ROS 2 node"]


def test_a_profile_that_does_not_exist_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def finding() -> doctor.Finding:
        return next(f for f in diagnose().findings if f.name == "Fast DDS profile")

    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE", raising=False)
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", str(tmp_path / "p.xml"))
    assert f"names {tmp_path / 'p.xml'}, which does not exist" in finding().detail
    assert finding().hint
    (tmp_path / "p.xml").write_text("")
    assert finding().found
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE")
    assert "FASTDDS_DEFAULT_PROFILES_FILE is not set" in finding().detail
