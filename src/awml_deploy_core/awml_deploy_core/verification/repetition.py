"""The same sample twice, with others in between, has to give the same bits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from awml_deploy_core.pipeline import TensorTap

Fingerprints = Mapping[tuple[str, str, str], bytes]
"""By component, side (``input``, ``output``) and tensor, in the order of the data flow."""


def fingerprints(tap: TensorTap) -> Fingerprints:
    """What a pipeline's components were fed with and gave, small enough to be kept."""
    return {
        (component, side, name): hashlib.blake2b(np.ascontiguousarray(values).data, digest_size=16).digest()
        for component in tap.inputs
        for side, tensors in (("input", tap.inputs[component]), ("output", tap.outputs[component]))
        for name, values in tensors.items()
    }


def repetition_problem(first: Fingerprints, again: Fingerprints) -> str:
    """What differs between two runs of one sample; empty if nothing does."""
    for key in dict.fromkeys([*first, *again]):
        if first.get(key) != again.get(key):
            component, side, name = key
            cause = (
                "something of the samples in between is left over"
                if side == "input"
                else "the backend does not repeat its results, or keeps something between runs"
            )
            return f"{side} {name} of {component} is another than when the same sample ran first: {cause}"
    return ""
