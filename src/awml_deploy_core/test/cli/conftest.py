from __future__ import annotations

from pathlib import Path

import pytest
from toy_family import write_checkpoint


@pytest.fixture
def deploy(tmp_path: Path, clouds: Path) -> Path:
    write_checkpoint(tmp_path / "weights.pth")
    path = tmp_path / "deploy.yaml"
    path.write_text(
        "name: demo\n"
        "model: {family: toy}\n"
        "checkpoint_path: weights.pth\n"
        "work_dir: out\n"
        "export: {onnx: {simplify: false, graph_capture: torchscript}}\n"
        "verification: {samples: [clouds]}\n"
        "infer: {source: clouds}\n"
    )
    return path
