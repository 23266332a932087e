from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from yolox_weights import SMALL, make_model, write_checkpoint

from awml_deploy_core.errors import CheckpointError
from awml_extractors.yolox.checkpoint import load_checkpoint
from awml_extractors.yolox.config import parse_config
from awml_extractors.yolox.megvii import from_megvii

State = dict[str, torch.Tensor]

# Names as they are in checkpoints of TIER IV's fork of Megvii's YOLOX, and what AWML calls them.
MEGVII = {
    "backbone.backbone.stem.down1.conv.weight": "backbone.stem.conv.0.conv.weight",
    "backbone.backbone.stem.conv2.bn.bias": "backbone.stem.conv.1.bn.bias",
    "backbone.backbone.dark2.0.conv.weight": "backbone.stage1.0.conv.weight",
    "backbone.backbone.dark3.1.conv1.bn.weight": "backbone.stage2.1.main_conv.bn.weight",
    "backbone.backbone.dark3.1.conv2.conv.weight": "backbone.stage2.1.short_conv.conv.weight",
    "backbone.backbone.dark4.1.conv3.conv.weight": "backbone.stage3.1.final_conv.conv.weight",
    "backbone.backbone.dark5.1.m.1.conv2.conv.weight": "backbone.stage4.1.blocks.1.conv2.conv.weight",
    "backbone.lateral_conv0.conv.weight": "neck.reduce_layers.0.conv.weight",
    "backbone.reduce_conv1.bn.running_var": "neck.reduce_layers.1.bn.running_var",
    "backbone.C3_p4.conv1.conv.weight": "neck.top_down_blocks.0.main_conv.conv.weight",
    "backbone.C3_p3.m.0.conv1.conv.weight": "neck.top_down_blocks.1.blocks.0.conv1.conv.weight",
    "backbone.bu_conv2.conv.weight": "neck.downsamples.0.conv.weight",
    "backbone.bu_conv1.conv.weight": "neck.downsamples.1.conv.weight",
    "backbone.C3_n3.conv3.bn.bias": "neck.bottom_up_blocks.0.final_conv.bn.bias",
    "backbone.C3_n4.conv2.conv.weight": "neck.bottom_up_blocks.1.short_conv.conv.weight",
    "head.stems.2.conv.weight": "neck.out_convs.2.conv.weight",
    "head.cls_convs.0.1.conv.weight": "bbox_head.multi_level_cls_convs.0.1.conv.weight",
    "head.reg_convs.1.0.bn.weight": "bbox_head.multi_level_reg_convs.1.0.bn.weight",
    "head.cls_preds.0.weight": "bbox_head.multi_level_conv_cls.0.weight",
    "head.reg_preds.1.bias": "bbox_head.multi_level_conv_reg.1.bias",
    "head.obj_preds.2.weight": "bbox_head.multi_level_conv_obj.2.weight",
}


def to_megvii(state: State) -> State:
    """The inverse of the conversion, from the table above by the modules' names."""
    modules = {
        "main_conv": "conv1", "short_conv": "conv2", "final_conv": "conv3", "blocks": "m",
    }  # fmt: skip
    prefixes = {
        "backbone.stem.conv.0": "backbone.backbone.stem.down1",
        "backbone.stem.conv.1": "backbone.backbone.stem.conv2",
        **{f"backbone.stage{i}": f"backbone.backbone.dark{i + 1}" for i in range(1, 5)},
        "neck.reduce_layers.0": "backbone.lateral_conv0",
        "neck.reduce_layers.1": "backbone.reduce_conv1",
        "neck.top_down_blocks.0": "backbone.C3_p4",
        "neck.top_down_blocks.1": "backbone.C3_p3",
        "neck.downsamples.0": "backbone.bu_conv2",
        "neck.downsamples.1": "backbone.bu_conv1",
        "neck.bottom_up_blocks.0": "backbone.C3_n3",
        "neck.bottom_up_blocks.1": "backbone.C3_n4",
        "neck.out_convs": "head.stems",
        "bbox_head.multi_level_cls_convs": "head.cls_convs",
        "bbox_head.multi_level_reg_convs": "head.reg_convs",
        "bbox_head.multi_level_conv_cls": "head.cls_preds",
        "bbox_head.multi_level_conv_reg": "head.reg_preds",
        "bbox_head.multi_level_conv_obj": "head.obj_preds",
    }
    renamed = {}
    for name, value in state.items():
        old = next(prefix for prefix in prefixes if name.startswith(f"{prefix}."))
        rest = [modules.get(part, part) for part in name[len(old) :].split(".")]
        renamed[prefixes[old] + ".".join(rest)] = value
    return renamed


@pytest.mark.parametrize(("old", "new"), MEGVII.items())
def test_megviis_names(old: str, new: str) -> None:
    assert from_megvii({old: 1}) == {new: 1}


@pytest.mark.parametrize("form", ["mmdet", "megvii"])
def test_weights_are_loaded(tmp_path: Path, form: str) -> None:
    state = make_model(SMALL).state_dict()
    content = {"state_dict": state} if form == "mmdet" else {"model": to_megvii(state), "amp": None}
    torch.save(content, tmp_path / "c.pth")
    model = load_checkpoint(parse_config(SMALL), tmp_path / "c.pth")
    assert not model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"class_names": ["car"]}, "trained for 8 classes, class_names has 1"),
        ({"widen_factor": 0.5}, "set widen_factor to 0.25"),
        ({"deepen_factor": 2.0}, "The second stage has 2 blocks"),
        ({"neck_blocks": 2}, "set neck_blocks to 1"),
        ({"arch": "P5_ASPP"}, "set arch to P5"),
    ],
)
def test_cause_is_named(tmp_path: Path, changes: dict[str, Any], hint: str) -> None:
    path = write_checkpoint(tmp_path / "c.pth", SMALL)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(parse_config({**SMALL, **changes}), path)
    assert hint in str(caught.value)
    assert caught.value.problems


def test_another_network(tmp_path: Path) -> None:
    torch.save({"pts_backbone.blocks.0.0.weight": torch.zeros(1)}, tmp_path / "c.pth")
    with pytest.raises(CheckpointError, match="another network"):
        load_checkpoint(parse_config(SMALL), tmp_path / "c.pth")
