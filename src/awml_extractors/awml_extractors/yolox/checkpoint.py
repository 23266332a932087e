"""Strict loading of mmdet, AWML and Megvii checkpoints of YOLOX."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from awml_extractors.checkpoint_files import load_strictly, network_entries, read_tensors
from awml_extractors.yolox.config import YoloxConfig
from awml_extractors.yolox.megvii import from_megvii, is_megvii
from awml_extractors.yolox.model import Yolox

_NETWORK_PARTS = ("backbone", "neck", "bbox_head", "head", "data_preprocessor")
_IGNORED_PREFIXES = ("data_preprocessor.", "bbox_head.loss_")


def load_checkpoint(config: YoloxConfig, path: Path) -> Yolox:
    """A model of ``config`` in eval mode on the CPU with the weights of a checkpoint.

    Args:
        config: The variant the checkpoint was trained as.
        path: A file written by mmengine, mmdet, AWML, Megvii's YOLOX or ``torch.save`` of a state dict.

    Raises:
        CheckpointError: Unreadable, or entries are missing, unexpected, of another shape or not
            finite; all of them are listed.
    """
    state = network_entries(path, read_tensors(path), _NETWORK_PARTS, _IGNORED_PREFIXES)
    if is_megvii(state):
        state = from_megvii(state)
    with torch.random.fork_rng(devices=[]):
        model = Yolox(config)
    load_strictly(path, model, state, lambda expected: list(_hints(config, expected, state)))
    return model


def _hints(
    config: YoloxConfig, expected: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> Iterator[str]:
    if not expected.keys() & state.keys():
        yield "No entry has a name of YOLOX_opt_elan: this is a checkpoint of another network."
        return
    if "backbone.stem.conv.conv.weight" in state or "backbone.stem.conv.bn.weight" in state:
        yield "The stem is one convolution after a slice: this is plain YOLOX, not YOLOX_opt."
    has_aspp = any(".aspp_modules." in key for key in state)
    if has_aspp and config.arch != "P5_ASPP":
        yield "The backbone has pyramids of dilated convolutions: set arch to P5_ASPP."
    elif not has_aspp and config.arch == "P5_ASPP":
        yield "The backbone has no pyramids of dilated convolutions: set arch to P5."
    bias = state.get("bbox_head.multi_level_conv_cls.0.bias")
    if bias is not None and bias.numel() != len(config.class_names):
        yield f"The head was trained for {bias.numel()} classes, class_names has {len(config.class_names)}."
    stem, wanted = (d.get("backbone.stem.conv.0.conv.weight") for d in (state, expected))
    if stem is not None and wanted is not None and stem.shape[0] != wanted.shape[0]:
        yield f"The stem has {stem.shape[0]} channels: set widen_factor to {stem.shape[0] / 32:g}."
    depth, wanted_depth = (_blocks(d, r"backbone\.stage2\.\d+") for d in (state, expected))
    if depth and depth != wanted_depth:
        yield f"The second stage has {depth} blocks: set deepen_factor to about {depth / 3:.3g}."
    depth, wanted_depth = (_blocks(d, r"neck\.top_down_blocks\.0") for d in (state, expected))
    if depth and depth != wanted_depth:
        yield f"The neck has {depth} blocks a layer: set neck_blocks to {depth}."


def _blocks(state: Mapping[str, Tensor], layer: str) -> int:
    """Number of blocks of an aggregation layer."""
    pattern = re.compile(rf"{layer}\.blocks\.(\d+)\.")
    return len({found.group(1) for key in state if (found := pattern.match(key))})
