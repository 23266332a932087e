from pathlib import Path

import pytest

from awml_deploy_core.artifacts import Artifact, ArtifactManager
from awml_deploy_core.artifacts.exchange import set_aside_path
from awml_deploy_core.errors import ArtifactError


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "epoch_50.pth"
    path.write_bytes(b"")
    return path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "bundle"
    path.mkdir()
    return path


def test_derives_from_checkpoint_and_bundle(checkpoint: Path, bundle: Path) -> None:
    manager = ArtifactManager(checkpoint=checkpoint, bundle=bundle)
    assert manager.resolve_pytorch_artifact() == Artifact("pytorch", checkpoint, "derived")
    assert manager.resolve_onnx_artifact() == Artifact("onnxruntime", bundle, "derived")
    assert manager.resolve_artifact("some_other_runtime").path == bundle


def test_configured_goes_before_derived(tmp_path: Path, checkpoint: Path, bundle: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    manager = ArtifactManager(configured={"onnxruntime": other}, checkpoint=checkpoint, bundle=bundle)
    assert manager.resolve_artifact("onnxruntime") == Artifact("onnxruntime", other, "configured")


def test_registered_goes_before_configured(tmp_path: Path, bundle: Path) -> None:
    manager = ArtifactManager(configured={"onnxruntime": tmp_path}, bundle=tmp_path)
    artifact = manager.register_artifact("onnxruntime", bundle)
    assert manager.get_artifact("onnxruntime") == artifact
    assert manager.resolve_artifact("onnxruntime") == Artifact("onnxruntime", bundle, "registered")


def test_a_later_registration_replaces_an_earlier_one(tmp_path: Path, bundle: Path) -> None:
    manager = ArtifactManager()
    manager.register_artifact("onnxruntime", tmp_path)
    manager.register_artifact("onnxruntime", bundle)
    assert manager.resolve_artifact("onnxruntime").path == bundle


def test_a_bundle_set_aside_by_a_crash_is_brought_back(bundle: Path) -> None:
    bundle.rename(set_aside_path(bundle))
    assert ArtifactManager(bundle=bundle).resolve_onnx_artifact().path.is_dir()


def test_nothing_is_registered_at_first() -> None:
    assert ArtifactManager().get_artifact("pytorch") is None


def test_a_configured_path_that_is_missing_is_never_replaced_by_another(
    tmp_path: Path, bundle: Path
) -> None:
    manager = ArtifactManager(configured={"onnxruntime": tmp_path / "typo"}, bundle=bundle)
    with pytest.raises(ArtifactError) as caught:
        manager.resolve_artifact("onnxruntime")
    assert caught.value.problems == (
        "registered: none",
        f"configured path: {tmp_path / 'typo'} does not exist",
    )


def test_the_error_says_where_it_looked_and_what_to_do() -> None:
    with pytest.raises(ArtifactError, match="expected a checkpoint file") as caught:
        ArtifactManager().resolve_pytorch_artifact()
    assert caught.value.problems == ("registered: none", "configured path: none", "checkpoint_path: none")
    assert caught.value.hint == "Set checkpoint_path."
    with pytest.raises(ArtifactError, match="Export the model first"):
        ArtifactManager().resolve_onnx_artifact()


def test_a_folder_is_no_checkpoint_and_a_file_is_no_bundle(checkpoint: Path, bundle: Path) -> None:
    manager = ArtifactManager(checkpoint=bundle, bundle=checkpoint)
    with pytest.raises(ArtifactError, match="is a folder"):
        manager.resolve_pytorch_artifact()
    with pytest.raises(ArtifactError, match="is a file"):
        manager.resolve_onnx_artifact()
