"""What a checkpoint's deviating entries tell about the variant it was trained as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from awml_extractors.centerpoint.config import CenterPointConfig

if TYPE_CHECKING:
    from torch import Tensor

_HEAD = "pts_bbox_head.task_heads.0."


def hints(
    config: CenterPointConfig, expected: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> list[str]:
    """One sentence for every cause recognised in the differences between two state dicts."""
    if not expected.keys() & state.keys():
        return ["No entry has a name of CenterPoint: this is a checkpoint of another network."]
    return list(_hints(config, expected, state))


def _hints(
    config: CenterPointConfig, expected: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> Iterator[str]:
    def shapes(key: str) -> tuple[list[int], list[int]] | None:
        """The entry's shape in the checkpoint and in the model, if they differ."""
        if key not in state or key not in expected or state[key].shape == expected[key].shape:
            return None
        return list(state[key].shape), list(expected[key].shape)

    if found := shapes("pts_voxel_encoder.pfn_layers.0.linear.weight"):
        got, wanted = found
        if got[1:] != wanted[1:]:
            yield (
                f"The encoder takes C = {got[1]} features a point, the configuration gives {wanted[1]}: "
                "check point_features and center_offset_dims."
            )
        if got[0] != wanted[0]:
            yield f"The encoder is {2 * got[0]} channels wide: check pfn_channels."
    if any(key.startswith("pts_bbox_head.task_heads.1.") for key in state):
        yield "The head has several tasks; only heads with one task are supported."
    if not any(key.startswith("pts_backbone.blocks.") for key in state):
        yield "The backbone is not SECOND (AWML's short-range and ConvNeXt models use another one)."
    if (found := shapes(f"{_HEAD}heatmap.1.weight")) and found[0][0] != found[1][0]:
        yield f"The head was trained for {found[0][0]} classes, class_names has {found[1][0]}."
    if (found := shapes(f"{_HEAD}heatmap.1.weight")) and found[0][2:] != found[1][2:]:
        yield f"The branches' kernel is {found[0][-1]}: set head_kernel to {found[0][-1]}."
    if found := shapes(f"{_HEAD}dim.1.bias"):
        if found[0][0] == 2 * found[1][0]:
            yield "The head writes variances: set has_variance to true."
        elif 2 * found[0][0] == found[1][0]:
            yield "The head writes no variances: set has_variance to false."
    if not any(key.startswith(f"{_HEAD}vel.") for key in state):
        yield "The head has no velocity branch; the exchange format needs all six outputs."
    yield from _neck_hints(config, expected, state)


def _neck_hints(
    config: CenterPointConfig, expected: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> Iterator[str]:
    for stage, stride in enumerate(config.neck_strides):
        key = f"pts_neck.deblocks.{stage}.0.weight"
        if key not in state or key not in expected:
            continue
        got, wanted = list(state[key].shape), list(expected[key].shape)
        if len(got) != 4:
            continue
        if got[2:] != wanted[2:]:
            yield (
                f"Stage {stage} of the neck has kernel {got[-1]}, neck_strides {stride:g} "
                f"makes it {wanted[-1]}: check neck_strides."
            )
        elif got != wanted and got[:2] == wanted[1::-1]:
            yield (
                f"Stage {stage} of the neck has its channels swapped: check neck_conv_for_no_stride "
                "or neck_strides."
            )
