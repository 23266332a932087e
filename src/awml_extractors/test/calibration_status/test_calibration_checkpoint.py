from __future__ import annotations

from pathlib import Path

import pytest
import torch
from classifier_weights import state_dict, write_checkpoint

from awml_deploy_core.errors import CheckpointError
from awml_extractors.calibration_status.checkpoint import load_checkpoint
from awml_extractors.calibration_status.config import CalibrationStatusConfig

CONFIG = CalibrationStatusConfig()


def refused(path: Path, state: dict[str, torch.Tensor]) -> CheckpointError:
    torch.save(state, path)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(CONFIG, path)
    return caught.value


def test_names_are_mmpretrains() -> None:
    names = {name for name in state_dict() if not name.endswith("num_batches_tracked")}
    # 20 convolutions, 20 normalisations of four entries and the fully connected layer.
    assert len(names) == 20 + 20 * 4 + 2
    assert {
        "backbone.conv1.weight",
        "backbone.bn1.running_var",
        "backbone.layer1.0.conv1.weight",
        "backbone.layer2.0.downsample.0.weight",
        "backbone.layer2.0.downsample.1.bias",
        "backbone.layer4.1.bn2.weight",
        "head.fc.weight",
        "head.fc.bias",
    } <= names
    assert "backbone.layer1.0.downsample.0.weight" not in names


def test_weights_are_loaded(tmp_path: Path) -> None:
    model = load_checkpoint(CONFIG, write_checkpoint(tmp_path / "c.pth"))
    assert not model.training
    for name, value in state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_entries_of_training_are_ignored(tmp_path: Path) -> None:
    torch.save({**state_dict(), "data_preprocessor.mean": torch.zeros(5)}, tmp_path / "c.pth")
    load_checkpoint(CONFIG, tmp_path / "c.pth")


def test_every_deviation_is_listed(tmp_path: Path) -> None:
    state = state_dict()
    del state["backbone.bn1.weight"]
    state["head.fc.bias"] = torch.zeros(3)
    state["backbone.extra"] = torch.zeros(1)
    error = refused(tmp_path / "c.pth", state)
    assert sorted(error.problems) == [
        "backbone.bn1.weight: missing, expected [64]",
        "backbone.extra: unexpected, shape [1]",
        "head.fc.bias: shape [3], expected [2]",
    ]
    assert "trained for 3 classes" in str(error)


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda s: {k.removeprefix("backbone."): v for k, v in s.items()}, "torchvision"),
        (lambda s: {"other.weight": torch.ones(2)}, "another network"),
        (lambda s: {**s, "backbone.conv1.weight": torch.zeros(64, 3, 7, 7)}, "takes 3 channels"),
        (lambda s: {**s, "backbone.layer1.0.conv3.weight": torch.zeros(1)}, "ResNet-50"),
        (lambda s: {**s, "backbone.layer1.2.conv1.weight": torch.zeros(1)}, "ResNet-34"),
    ],
)
def test_cause_is_named(tmp_path: Path, change: object, hint: str) -> None:
    assert callable(change)
    assert hint in str(refused(tmp_path / "c.pth", change(state_dict())))
