from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from engine_builds import ADA, ORIN, here, key, target

from awml_deploy_core.errors import BackendUnavailableError, ConfigError
from awml_deploy_core.runtime.cuda_driver import CudaDevice
from awml_deploy_core.runtime.trt.key import EngineKey, EngineTarget, Environment
from awml_deploy_core.runtime.trt.library import TensorRTLibrary
from awml_deploy_core.runtime.trt.settings import EngineSettings, PrecisionPolicy, ShapeRange

TENSORRT = TensorRTLibrary("tensorrt", "10.13.2.6", None)  # type: ignore[arg-type]
RTX = TensorRTLibrary("tensorrt_rtx", "1.7.1.116", None)  # type: ignore[arg-type]

CHANGES: list[dict[str, Any]] = [
    {"component": "head"},
    {"onnx_sha256": "b" * 64},
    {"precision": "tf32"},
    {"fp32_nodes": ("conv",)},
    {"profile": {"x": ShapeRange((1, 3), (65, 3), (100, 3))}},
    {"flags": {"optimization_level": "5"}},
    {"target": target(version="11.0.0.1")},
    {"target": target(gpu="NVIDIA L4")},
    {"target": target(compute_capability="9.0")},
    {"target": target(multiprocessors=64)},
    {"target": target(platform="linux-riscv64")},
]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_differs_gives_another_file_and_a_reason(change: dict[str, Any]) -> None:
    other = key(**change)
    assert other.digest != key().digest
    assert other.file_name != key().file_name
    assert other.differences(key(), here())


def test_equal_keys_are_one_engine() -> None:
    assert key().digest == key().digest
    assert key().differences(key(), here()) == []


@pytest.mark.parametrize(
    ("changes", "gpu", "version", "reason"),
    [
        ({}, ADA, "10.13.2.6", None),
        ({}, None, "10.13.2.6", None),
        ({}, ADA, "10.14.0.1", "built by tensorrt 10.13.2.6, here is 10.14.0.1"),
        ({}, ORIN, "10.13.2.6", "built for NVIDIA RTX 4090, here is Orin"),
        ({"version_compatible": True}, ADA, "10.14.0.1", None),
        ({"version_compatible": True}, ADA, "10.12.0.1", "here is 10.12.0.1"),
        ({"version_compatible": True}, ADA, "11.0.0.1", "here is 11.0.0.1"),
        ({"gpu": "any", "multiprocessors": None, "compute_capability": "8.0+"}, ORIN, "10.13.2.6", None),
        (
            {"gpu": "any", "multiprocessors": None, "compute_capability": "8.0+"},
            CudaDevice(0, "T4", "7.5"),
            "10.13.2.6",
            "T4 has 7.5",
        ),
        (
            {"gpu": "Orin", "compute_capability": "8.7", "multiprocessors": 8},
            ORIN,
            "10.13.2.6",
            "built for Orin with 8 multiprocessors, here are 16",
        ),
        ({"gpu": "any", "multiprocessors": None, "compute_capability": "8.7"}, ORIN, "10.13.2.6", None),
        ({"platform": "linux-riscv64"}, ADA, "10.13.2.6", "built on linux-riscv64, here is"),
        ({"platform": "linux-riscv64"}, None, "10.13.2.6", "built on linux-riscv64, here is"),
        ({"gpu": "any", "multiprocessors": None, "compute_capability": "8.6,8.9"}, ADA, "10.13.2.6", None),
        ({"gpu": "any", "compute_capability": "8.6,8.9"}, ORIN, "10.13.2.6", "Orin has 8.7"),
        ({"gpu": "any", "compute_capability": "8.9"}, CudaDevice(0, "B", "12.0"), "10.13.2.6", "has 12.0"),
        ({"library": "tensorrt_rtx"}, ADA, "10.13.2.6", "built by tensorrt_rtx, here is tensorrt"),
    ],
)
def test_where_an_engine_runs(
    changes: dict[str, Any], gpu: CudaDevice | None, version: str, reason: str | None
) -> None:
    found = target(**changes).misfits(here(gpu, version))
    assert bool(found) is (reason is not None)
    assert reason is None or reason in "; ".join(found)


def test_targets_of_a_build() -> None:
    plain = EngineSettings()
    assert EngineTarget.of(TENSORRT, ADA, plain) == target()
    ampere = replace(plain, hardware_compatibility="ampere_plus", version_compatible=True)
    assert EngineTarget.of(TENSORRT, ADA, ampere) == target(
        gpu="any", compute_capability="8.0+", version_compatible=True, multiprocessors=None
    )
    same = replace(plain, hardware_compatibility="same_compute_capability")
    assert EngineTarget.of(TENSORRT, ADA, same) == target(gpu="any", multiprocessors=None)
    assert str(EngineTarget.of(RTX, None, plain)) == "tensorrt_rtx 1.7.1.116, any GPU of 8.0+"
    chosen = replace(plain, compute_capabilities=("8.9", "8.6", "8.9"))
    assert EngineTarget.of(RTX, None, chosen).compute_capability == "8.6,8.9"
    with pytest.raises(BackendUnavailableError, match="library: tensorrt_rtx"):
        EngineTarget.of(TENSORRT, None, plain)


def test_engines_of_tensorrt_rtx_leave_turing_out_unless_it_is_asked_for() -> None:
    turing = Environment("tensorrt_rtx", RTX.version, CudaDevice(0, "T4", "7.5"))
    plain = EngineSettings()
    assert "T4 has 7.5" in "; ".join(EngineTarget.of(RTX, None, plain).misfits(turing))
    asked = replace(plain, compute_capabilities=("7.5",))
    assert EngineTarget.of(RTX, None, asked).misfits(turing) == []


@pytest.mark.parametrize(
    ("one", "other", "rivals"),
    [
        ({}, {"flags": {"optimization_level": "5"}}, True),
        ({}, {"fp32_nodes": ("conv",)}, True),
        ({}, {"precision": "tf32"}, False),
        ({}, {"component": "head"}, False),
        ({}, {"target": target(gpu="NVIDIA L4")}, False),
        ({}, {"target": target(multiprocessors=64)}, False),
        ({}, {"target": target(version="10.14.0.1")}, False),
        ({}, {"target": target(gpu="any", multiprocessors=None, compute_capability="8.0+")}, True),
        ({}, {"target": target(platform="linux-riscv64")}, False),
        (
            {"target": target(version_compatible=True)},
            {"target": target(version="10.14.0.1")},
            True,
        ),
        ({"target": target(compute_capability="8.9")}, {"target": target(compute_capability="8.6")}, False),
        (
            {"target": target(compute_capability="8.9,9.0")},
            {"target": target(compute_capability="9.0")},
            True,
        ),
        (
            {"target": target(compute_capability="7.5")},
            {"target": target(compute_capability="8.0+")},
            False,
        ),
    ],
)
def test_rivals_are_engines_that_a_session_could_not_choose_between(
    one: dict[str, Any], other: dict[str, Any], rivals: bool
) -> None:
    assert key(**one).rivals(key(**other)) is rivals
    assert key(**other).rivals(key(**one)) is rivals


def test_chosen_settings_are_in_the_key() -> None:
    settings = EngineSettings(
        policy=PrecisionPolicy("fp16", ("b", "a")), workspace_mib=512, optimization_level=4
    )
    made = EngineKey.of("encoder", "a" * 64, {}, settings, target())
    assert made.flags == {"workspace_mib": "512", "optimization_level": "4"}
    assert made.fp32_nodes == ("a", "b")


@pytest.mark.parametrize(
    "make",
    [
        lambda: PrecisionPolicy("fp8"),  # type: ignore[arg-type]
        lambda: PrecisionPolicy("tf32", ("conv",)),
        lambda: EngineSettings(optimization_level=6),
        lambda: EngineSettings(workspace_mib=0),
        lambda: EngineSettings(library="trt"),  # type: ignore[arg-type]
    ],
)
def test_settings_out_of_range(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()
