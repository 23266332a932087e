"""nvidia-smi, played by a script where no GPU is."""

from __future__ import annotations

from pathlib import Path

import pytest

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import DeviceError
from awml_deploy_core.evaluation.memory import PeakMemory
from awml_deploy_core.runtime.cuda import nvidia_smi
from awml_deploy_core.runtime.cuda.nvidia_smi import query_gpus

GPU = DeviceSpec("cuda", 1)


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    path = tmp_path / "nvidia-smi"
    path.touch(0o755)
    return path


def test_gpus_are_asked_for_as_cuda_numbers_them(tool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool.write_text("#!/bin/sh\necho $1\necho $3\n")
    fields = ("name", "memory.used")
    first, second = query_gpus(fields, GPU)
    assert first == {"name": "--query-gpu=name", "memory.used": "memory.used"}
    assert second == {"name": "--id=1"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-8f")
    assert query_gpus(fields, GPU)[1]["name"] == "--id=GPU-8f"


def test_failures_are_typed(tool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool.write_text("#!/bin/sh\necho driver lost; exit 9\n")
    with pytest.raises(DeviceError, match=r"ended with 9.*driver lost"):
        query_gpus(("name",))
    tool.write_text("#!/bin/sh\nexec sleep 5\n")
    monkeypatch.setattr(nvidia_smi, "_TIMEOUT_S", 0.1)
    with pytest.raises(DeviceError, match=r"does not answer.*timed out"):
        query_gpus(("name",))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceError, match="is not installed"):
        query_gpus(("name",))


def test_memory_that_a_backend_takes_of_its_gpu(tool: Path) -> None:
    tool.write_text("#!/bin/sh\necho 1000\n")
    memory = PeakMemory(GPU)
    tool.write_text("#!/bin/sh\necho 1500\n")
    memory.mark()
    assert memory.result().device_mb == pytest.approx(500 * 2**20 / 1e6)
    assert PeakMemory().result().device_mb is None


def test_memory_that_is_not_known_has_a_reason(tool: Path) -> None:
    tool.write_text("#!/bin/sh\necho '[N/A]'\n")
    memory = PeakMemory(GPU)
    memory.mark()
    assert memory.result().device_mb is None
    assert "does not say" in (memory.result().device_missing or "")
