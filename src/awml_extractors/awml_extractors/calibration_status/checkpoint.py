"""Strict loading of mmpretrain checkpoints of the classifier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from awml_extractors.calibration_status.config import CHANNELS, CalibrationStatusConfig
from awml_extractors.calibration_status.model import CalibrationStatusClassifier
from awml_extractors.checkpoint_files import load_strictly, network_entries, read_tensors

_NETWORK_PARTS = ("backbone", "head", "data_preprocessor")
_IGNORED_PREFIXES = ("data_preprocessor.", "head.loss_")


def load_checkpoint(config: CalibrationStatusConfig, path: Path) -> CalibrationStatusClassifier:
    """A classifier in eval mode on the CPU with the weights of a checkpoint.

    Args:
        config: The classes.
        path: A file written by mmengine, mmpretrain, AWML or ``torch.save`` of a state dict.

    Raises:
        CheckpointError: Unreadable, or entries are missing, unexpected, of another shape or not
            finite; all of them are listed.
    """
    state = network_entries(path, read_tensors(path), _NETWORK_PARTS, _IGNORED_PREFIXES)
    with torch.random.fork_rng(devices=[]):
        model = CalibrationStatusClassifier(CHANNELS, len(config.class_names))
    load_strictly(path, model, state, lambda expected: list(_hints(expected, state)))
    return model


def _hints(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterator[str]:
    if "conv1.weight" in state and "backbone.conv1.weight" not in state:
        yield "Entries have torchvision's names; mmpretrain's start with 'backbone.' and 'head.'."
        return
    if not expected.keys() & state.keys():
        yield "No entry has a name of mmpretrain's ResNet: this is a checkpoint of another network."
        return
    first = state.get("backbone.conv1.weight")
    if first is not None and first.ndim == 4 and first.shape[1] != CHANNELS:
        yield (
            f"The first convolution takes {first.shape[1]} channels: it was not trained on image, depth "
            "and intensity."
        )
    if "backbone.layer1.0.conv3.weight" in state:
        yield "The blocks have three convolutions: this is ResNet-50 or a deeper one, not ResNet-18."
    elif "backbone.layer1.2.conv1.weight" in state:
        yield "The first stage has three blocks: this is ResNet-34, not ResNet-18."
    bias = state.get("head.fc.bias")
    if bias is not None and bias.shape != expected["head.fc.bias"].shape:
        wanted = expected["head.fc.bias"].numel()
        yield f"The head was trained for {bias.numel()} classes, class_names has {wanted}."
