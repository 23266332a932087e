from __future__ import annotations

import pytest
import torch
from yolox_weights import SMALL, make_model

from awml_deploy_core.errors import ConfigError
from awml_extractors.yolox.config import YoloxConfig, parse_config
from awml_extractors.yolox.layers import Aspp, Elan
from awml_extractors.yolox.model import Yolox


def test_names_and_shapes_are_awmls() -> None:
    """Of yolox-s-opt-elan_960x960_300e_t4dataset.py."""
    with torch.device("meta"):
        state = Yolox(YoloxConfig()).state_dict()
    shapes = {
        "backbone.stem.conv.0.conv.weight": [32, 3, 3, 3],
        "backbone.stem.conv.1.bn.running_mean": [32],
        "backbone.stage1.0.conv.weight": [64, 32, 3, 3],
        "backbone.stage1.1.main_conv.conv.weight": [32, 64, 1, 1],
        "backbone.stage1.1.blocks.1.conv2.conv.weight": [32, 32, 3, 3],
        "backbone.stage2.1.blocks.5.conv1.conv.weight": [64, 64, 3, 3],
        "backbone.stage2.1.final_conv.conv.weight": [128, 448, 1, 1],
        "backbone.stage4.1.final_conv.conv.weight": [512, 768, 1, 1],
        "neck.reduce_layers.0.conv.weight": [256, 512, 1, 1],
        "neck.top_down_blocks.0.short_conv.conv.weight": [128, 512, 1, 1],
        "neck.top_down_blocks.1.final_conv.conv.weight": [128, 192, 1, 1],
        "neck.downsamples.1.conv.weight": [256, 256, 3, 3],
        "neck.bottom_up_blocks.1.final_conv.conv.weight": [512, 768, 1, 1],
        "neck.out_convs.2.conv.weight": [128, 512, 1, 1],
        "bbox_head.multi_level_cls_convs.0.1.conv.weight": [128, 128, 3, 3],
        "bbox_head.multi_level_reg_convs.2.0.bn.weight": [128],
        "bbox_head.multi_level_conv_cls.1.weight": [8, 128, 1, 1],
        "bbox_head.multi_level_conv_reg.1.bias": [4],
        "bbox_head.multi_level_conv_obj.1.weight": [1, 128, 1, 1],
    }
    assert {name: list(state[name].shape) for name in shapes} == shapes
    assert "backbone.stage2.1.blocks.6.conv1.conv.weight" not in state


def test_pyramids_are_in_the_first_three_stages() -> None:
    with torch.device("meta"):
        model = Yolox(parse_config({"arch": "P5_ASPP"}))
    found = [name for name, module in model.named_modules() if isinstance(module, Aspp)]
    assert found == [f"backbone.stage{i}.1" for i in (1, 2, 3)]
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    assert shapes["backbone.stage2.1.aspp_modules.0.conv.weight"] == [128, 128, 1, 1]
    assert shapes["backbone.stage2.1.aspp_modules.3.conv.weight"] == [128, 128, 3, 3]
    assert shapes["backbone.stage2.1.global_avg_pool.1.bn.bias"] == [128]
    assert shapes["backbone.stage2.1.final_conv.conv.weight"] == [128, 640, 3, 3]
    shortcuts = [
        module.blocks[0].shortcut for module in model.backbone.modules() if isinstance(module, Elan)
    ]
    assert shortcuts == [False, False, False, True]


def test_output_layout() -> None:
    """Levels one after the other, row by row; box raw, objectness and classes after the sigmoid."""
    model = make_model(SMALL)
    images = torch.rand(2, 3, 320, 320) * 255
    with torch.no_grad():
        output = model(images)
        maps = model.neck(model.backbone(images))
        head = model.bbox_head
        box = head.multi_level_conv_reg[1](head.multi_level_reg_convs[1](maps[1]))
        score = head.multi_level_conv_cls[1](head.multi_level_cls_convs[1](maps[1])).sigmoid()
    assert output.shape == (2, 40 * 40 + 20 * 20 + 10 * 10, 13)
    row = 40 * 40 + 7 * 20 + 3
    torch.testing.assert_close(output[:, row, :4], box[:, :, 7, 3])
    torch.testing.assert_close(output[:, row, 5:], score[:, :, 7, 3])
    assert 0 <= output[..., 4:].min() <= output[..., 4:].max() <= 1


@pytest.mark.parametrize("arch", ["P5", "P5_ASPP"])
def test_every_parameter_matters(arch: str) -> None:
    model = make_model({**SMALL, "arch": arch})
    model(torch.rand(1, 3, 320, 320) * 255).square().sum().backward()
    assert not [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"input_size": [960, 950]}, "multiples of 32"),
        ({"class_names": ["a", "a"]}, "unique"),
        ({"class_names": ["a\nb"]}, "one line"),
        ({"widen_factor": 0.3}, "whole number of channels"),
        ({"arch": "P6"}, "arch"),
        ({"batch_size": [6, 1, 1]}, "batch_size"),
        (
            {"options": {"nms_treshold": 1}},
            "options.nms_treshold: unknown key (did you mean nms_threshold?)",
        ),
    ],
)
def test_invalid_configuration(raw: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(raw)
    assert problem in str(caught.value)
