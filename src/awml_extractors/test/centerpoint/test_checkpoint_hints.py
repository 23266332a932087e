from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from awml_extractors.centerpoint.checkpoint_hints import hints
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.model import CenterPoint
from awml_extractors.centerpoint.variants import parse_config

State = dict[str, torch.Tensor]


def small(**changes: Any) -> CenterPointConfig:
    return parse_config(
        {"variant": "demo", "point_cloud_range": (-5.12, -5.12, -4.0, 5.12, 5.12, 4.0), **changes}
    )


def weights(config: CenterPointConfig) -> State:
    return CenterPoint(config).state_dict()


@pytest.mark.parametrize(
    ("trained", "configured", "hint"),
    [
        ({"head_kernel": 1}, {"head_kernel": 3}, "set head_kernel to 1"),
        ({"head_kernel": 3}, {"head_kernel": 1}, "set head_kernel to 3"),
        ({"has_variance": True}, {}, "set has_variance to true"),
        ({}, {"has_variance": True}, "set has_variance to false"),
        ({"center_offset_dims": 3}, {}, "C = 10 features a point, the configuration gives 9"),
        ({"class_names": ["CAR", "BUS"]}, {}, "trained for 2 classes, class_names has 5"),
        ({"neck_strides": [0.5, 1, 2]}, {}, "check neck_strides"),
        (
            {"neck_conv_for_no_stride": False, "neck_channels": [24, 16, 16]},
            {"neck_channels": [24, 16, 16]},
            "check neck_conv_for_no_stride",
        ),
        ({"pfn_channels": [16, 32]}, {}, "16 channels wide: check pfn_channels"),
    ],
)
def test_hint_at_the_right_variant(trained: dict[str, Any], configured: dict[str, Any], hint: str) -> None:
    config = small(**configured)
    found = hints(config, weights(config), weights(small(**trained)))
    assert any(hint in text for text in found), found


def rename(state: State, old: str, new: str) -> State:
    return {key.replace(old, new): value for key, value in state.items()}


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda state: rename(state, "pts_backbone.blocks.", "pts_backbone.stages."), "is not SECOND"),
        (lambda state: {**state, **rename(state, "task_heads.0.", "task_heads.1.")}, "several tasks"),
        (lambda state: {k: v for k, v in state.items() if ".vel." not in k}, "no velocity branch"),
        (lambda state: rename(state, "pts_", "img_"), "another network"),
    ],
)
def test_hint_at_another_architecture(change: Callable[[State], State], hint: str) -> None:
    state = weights(small())
    found = hints(small(), state, change(state))
    assert any(hint in text for text in found), found


def test_no_hint_where_nothing_differs() -> None:
    assert hints(small(), weights(small()), weights(small())) == []
