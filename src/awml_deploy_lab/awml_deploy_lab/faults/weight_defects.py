"""Defects of the weights and the precision of the exported graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from awml_deploy_core.export.precision import apply_precision
from awml_deploy_core.runtime.trt.settings import PrecisionPolicy
from awml_deploy_lab.faults import graphs
from awml_deploy_lab.faults.defect import Change, Defect
from awml_deploy_lab.faults.deployment import ENCODER, HEAD, Deployment
from awml_deploy_lab.faults.graphs import Array, GraphChange

LAST = "pts_bbox_head.task_heads.0"
"""Name of the weights of the head's branches."""
STAGE = "pts_backbone.blocks.1.6.weight"
"""A weight in the middle of the backbone."""
_FP16_STRETCH = 2.0**15
_STAGE_CHANNELS = 32


def within(component: str, *edits: GraphChange) -> Change:
    return lambda deployment: deployment.edit_graph(component, graphs.all_of(*edits))


def _scale(index: Any, factor: float) -> Callable[[Array], None]:
    def change(values: Array) -> None:
        values[index] *= factor

    return change


def _set(index: Any, value: float) -> Callable[[Array], None]:
    def change(values: Array) -> None:
        values[index] = value

    return change


def stretch(model: onnx.ModelProto) -> None:
    """Multiply what the first stage gives the head and divide there: the same function, large inside."""
    stage, head = "pts_neck.deblocks.0.0.weight", "pts_bbox_head.shared_conv.conv.weight"
    for name in (stage, f"{stage}_bias"):
        graphs.weights(name, lambda values: values * _FP16_STRETCH)(model)

    def divide(values: Array) -> None:
        values[:, :_STAGE_CHANNELS] /= _FP16_STRETCH

    graphs.weights(head, divide)(model)


def as_fp16(deployment: Deployment, component: str, *edits: GraphChange) -> None:
    """Lower the precision of a component, and say so in the manifest."""

    def lower(model: onnx.ModelProto) -> onnx.ModelProto:
        for edit in edits:
            edit(model)
        return apply_precision(model, PrecisionPolicy("fp16"), component)[0]

    deployment.edit_graph(component, lower)
    deployment.edit_manifest(
        lambda manifest: manifest["provenance"]["export"][component].update(precision="fp16")
    )


def _other_encoder(deployment: Deployment) -> None:
    rng = np.random.default_rng(0)

    def other(name: str, values: Array) -> Array:
        return values + rng.normal(0.0, 0.2 * float(np.abs(values).mean()), values.shape)

    deployment.edit_graph(ENCODER, graphs.every_weight(other))


def _other_epsilon(deployment: Deployment) -> None:
    """Fold the encoder's normalisations with PyTorch's default epsilon instead of the model's."""
    from awml_extractors.centerpoint.checkpoint import load_checkpoint
    from awml_extractors.centerpoint.folding import FoldedPillarFeatureNet
    from awml_extractors.centerpoint.variants import parse_config

    model = load_checkpoint(parse_config({"variant": "demo"}), deployment.folder / "checkpoint.pth")
    for layer in model.pts_voxel_encoder.pfn_layers:
        layer.norm.eps = 1e-5
    state = FoldedPillarFeatureNet(model.pts_voxel_encoder).state_dict()
    deployment.edit_graph(
        ENCODER,
        graphs.every_weight(lambda name, values: state[name].numpy() if name in state else values),
    )


def _no_normalisation(deployment: Deployment) -> None:
    """Export the weights of one convolution without the normalisation behind it."""
    from awml_extractors.centerpoint.checkpoint import read_state_dict

    state = read_state_dict(deployment.folder / "checkpoint.pth")
    name = "pts_backbone.blocks.1.3.weight"
    deployment.edit_graph(
        HEAD,
        graphs.all_of(
            graphs.weights(name, lambda _: state[name].numpy()),
            graphs.weights(f"{name}_bias", lambda values: np.zeros_like(values)),
        ),
    )


def _through_fp16(_: str, values: Array) -> Array:
    return values.astype(np.float16).astype(np.float32)


WEIGHT_DEFECTS = (
    Defect(
        "a filter of the backbone is 10 % too large",
        "graph",
        within(HEAD, graphs.weights(STAGE, _scale(3, 1.1))),
        "component",
        ("changed weights", STAGE),
    ),
    Defect(
        "one weight of 780 000 is zero",
        "graph",
        within(
            HEAD,
            graphs.weights(STAGE, lambda w: _set(np.unravel_index(np.abs(w).argmax(), w.shape), 0.0)(w)),
        ),
        "component",
        ("changed weights", STAGE),
    ),
    Defect(
        "a weight is NaN",
        "graph",
        within(HEAD, graphs.weights(STAGE, _set((0, 0, 0, 0), np.nan))),
        "component",
        ("changed weights", STAGE, "NaN"),
    ),
    Defect(
        "the bias of the heatmap is dropped",
        "graph",
        within(HEAD, graphs.weights(f"{LAST}.heatmap.1.bias", lambda values: values * 0)),
        "component",
        ("heatmap", "constant"),
    ),
    Defect(
        "the normalisation of a convolution is left out",
        "graph",
        _no_normalisation,
        "component",
        ("changed weights", "pts_backbone.blocks.1.3.weight"),
    ),
    Defect(
        "the encoder's normalisations have another epsilon (1e-5 for 1e-3)",
        "graph",
        _other_epsilon,
        "component",
        ("changed weights", "layers.0.of_points", "layers.1.bias"),
    ),
    Defect(
        "the encoder is that of another checkpoint",
        "graph",
        _other_encoder,
        "component",
        ("changed weights", "layers.0.of_points", "layers.1.of_maximum"),
    ),
    Defect(
        "the encoder takes the time lag with the opposite sign",
        "graph",
        within(ENCODER, graphs.weights("layers.0.of_points", _scale(3, -1.0))),
        "component",
        ("changed weights", "layers.0.of_points"),
    ),
    Defect(
        "the encoder expects the offsets to the centre before those to the mean",
        "graph",
        within(ENCODER, graphs.weights("layers.0.of_points", lambda w: w[[0, 1, 2, 3, 6, 7, 8, 4, 5]])),
        "component",
        ("changed weights", "layers.0.of_points"),
    ),
    Defect(
        "a deconvolution's kernel is turned by half a turn",
        "graph",
        within(HEAD, graphs.weights("pts_neck.deblocks.1.0.weight", lambda w: w[:, :, ::-1, ::-1])),
        "component",
        ("changed weights", "pts_neck.deblocks.1.0.weight"),
    ),
    Defect(
        "weights were rounded to half precision and nobody said so",
        "graph",
        within(HEAD, graphs.every_weight(_through_fp16)),
        "component",
        ("changed weights", "pts_backbone.blocks.0.0.weight"),
    ),
    Defect(
        "half precision overflows inside",
        "graph",
        lambda deployment: as_fp16(deployment, HEAD, stretch),
        "component",
        ("beyond what half precision holds", "made by Conv"),
    ),
)
