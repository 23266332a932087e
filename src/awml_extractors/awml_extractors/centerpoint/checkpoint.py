"""Strict loading of CenterPoint checkpoints of mmdet3d and AWML."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from awml_extractors.centerpoint.checkpoint_hints import hints
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.model import CenterPoint
from awml_extractors.checkpoint_files import load_strictly, network_entries, read_tensors

IGNORED_PREFIXES = ("data_preprocessor.", "pts_bbox_head.loss_")
"""Entries of a state dict that belong to training or to pre-processing, not to the network."""

_NETWORK_PARTS = ("pts_voxel_encoder", "pts_backbone", "pts_neck", "pts_bbox_head", "data_preprocessor")


def load_checkpoint(config: CenterPointConfig, path: Path, *, prefer_ema: bool = True) -> CenterPoint:
    """A model of ``config`` in eval mode on the CPU with the weights of a checkpoint.

    Args:
        config: The variant the checkpoint was trained as.
        path: A file written by mmengine, mmdet3d, AWML or ``torch.save`` of a state dict.
        prefer_ema: Use the averaged weights where the file has both averaged and raw ones.

    Raises:
        CheckpointError: Unreadable, or entries are missing, unexpected, of another shape or not
            finite; all of them are listed.
    """
    state = read_state_dict(path, prefer_ema=prefer_ema)
    with torch.random.fork_rng(devices=[]):
        model = CenterPoint(config)
    load_strictly(path, model, state, lambda expected: hints(config, expected, state))
    return model


def read_state_dict(path: Path, *, prefer_ema: bool = True) -> dict[str, Tensor]:
    """The network's tensors of a checkpoint by mmdet3d's names, without wrappers' prefixes.

    Raises:
        CheckpointError: As :func:`~awml_extractors.checkpoint_files.read_tensors`, or the file holds
            several copies of the network.
    """
    return network_entries(
        path, read_tensors(path, prefer_ema=prefer_ema), _NETWORK_PARTS, IGNORED_PREFIXES
    )
