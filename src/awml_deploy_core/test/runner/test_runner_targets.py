from __future__ import annotations

import os
from pathlib import Path

import pytest
from toy_family import BUNDLE_FILE, ToyConfig

from awml_deploy_core.artifacts.exchange import set_aside_path
from awml_deploy_core.errors import ArtifactError, ConfigError
from awml_deploy_core.runner.targets import load_target

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A foreign bundle of the toy family; its components are never opened."""
    folder = tmp_path / "my model"
    folder.mkdir()
    (folder / BUNDLE_FILE).write_text(ToyConfig(channels=3).model_dump_json())
    for name in ("encoder.onnx", "head.onnx"):
        (folder / name).touch()
    return folder


def test_a_bundle_folder_is_a_configuration_without_export(bundle: Path) -> None:
    loaded = load_target(bundle, ["runtime.num_threads=2"])
    assert loaded.deploy.name == "my_model"
    assert loaded.deploy.bundle == bundle
    assert loaded.deploy.export.mode == "none"
    assert loaded.deploy.runtime.num_threads == 2
    assert loaded.model.channels == 3


def test_a_bundle_set_aside_by_a_crash_is_brought_back(bundle: Path) -> None:
    os.rename(bundle, set_aside_path(bundle))
    assert load_target(bundle).deploy.bundle == bundle


def test_a_missing_target_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a deploy\.yaml or a bundle folder"):
        load_target(tmp_path / "none")


def test_a_target_that_the_system_refuses_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be reached; got File name too long"):
        load_target(tmp_path / ("a" * 300))
