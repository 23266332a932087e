"""Facts for evidence packs."""

import json
from pathlib import Path

from awml_deploy_ros.node.host_state import GPU_FIELDS, gpu_state, host_state


def test_the_host_is_described_json_ready() -> None:
    state = json.loads(json.dumps(host_state()))
    assert state["cpus"] >= 1
    assert state["process"]["resident_kb"] > 1000
    assert state["memory_kb"]["MemTotal"].endswith("kB")


def test_gpus_of_a_fake_tool_or_why_there_are_none(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "nvidia-smi: is not installed" in gpu_state()["problem"]
    row = ", ".join(f"value {index}" for index in range(len(GPU_FIELDS)))
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho '{row}'\n")
    tool.chmod(0o755)
    (gpu,) = gpu_state()["gpus"]
    assert gpu["index"] == "value 0"
    assert list(gpu) == list(GPU_FIELDS)
