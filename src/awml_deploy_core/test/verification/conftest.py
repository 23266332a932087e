from __future__ import annotations

from pathlib import Path

import pytest
from toy_family import ToyFamily, write_checkpoint

from awml_deploy_core.config import LoadedConfig, load_mapping


@pytest.fixture
def loaded_toy(tmp_path: Path, toy: ToyFamily, clouds: Path) -> LoadedConfig:
    """A deployment of the toy family whose bundle is yet to be exported."""
    write_checkpoint(tmp_path / "weights.pth")
    content = {
        "name": "demo",
        "model": {"family": "toy"},
        "checkpoint_path": "weights.pth",
        "work_dir": "out",
        "export": {"onnx": {"simplify": False, "graph_capture": "torchscript"}},
        "verification": {"samples": [str(clouds)]},
    }
    return load_mapping(content, tmp_path)
