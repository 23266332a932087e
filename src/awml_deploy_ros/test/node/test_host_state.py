"""Facts for evidence packs."""

import json
from pathlib import Path

from awml_deploy_ros.node import host_state as module
from awml_deploy_ros.node.host_state import GPU_FIELDS, gpu_state, host_state, parse_gpus


def test_the_host_is_described_json_ready() -> None:
    state = json.loads(json.dumps(host_state()))
    assert state["cpus"] >= 1
    assert state["process"]["resident_kb"] > 1000
    assert state["memory_kb"]["MemTotal"].endswith("kB")


def test_gpus_by_field() -> None:
    row = ", ".join(f"value {index}" for index in range(len(GPU_FIELDS)))
    found = parse_gpus(f"{row}\n{row}\n")
    assert len(found) == 2
    assert found[1]["index"] == "value 0"
    assert list(found[0]) == list(GPU_FIELDS)


def test_without_or_with_a_broken_tool_there_is_a_reason(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_state() == {"gpus": [], "problem": "nvidia-smi is not installed"}
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho driver lost; exit 9\n")
    tool.chmod(0o755)
    assert gpu_state()["problem"] == "nvidia-smi ended with 9: driver lost"
    tool.write_text("#!/bin/sh\nexec /bin/sleep 5\n")
    monkeypatch.setattr(module, "_TIMEOUT_S", 0.1)
    assert "timed out" in gpu_state()["problem"]
