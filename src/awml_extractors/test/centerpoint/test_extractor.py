from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from head_encoding import convert_head_outputs
from random_weights import random_model
from torch import nn

from awml_deploy_core.errors import ExportError
from awml_deploy_core.export import OnnxExportOptions
from awml_deploy_core.export.onnx_exporter import OnnxExporter
from awml_extractors.centerpoint.config import (
    AUTOWARE_CONVENTION,
    MMDET3D_CONVENTION,
    CenterPointConfig,
    HeadConvention,
)
from awml_extractors.centerpoint.extractor import CenterPointComponentExtractor
from awml_extractors.centerpoint.model import CenterPoint
from awml_extractors.centerpoint.specs import component_specs
from awml_extractors.centerpoint.variants import parse_config

onnx = pytest.importorskip("onnx")
CONVENTIONS = [
    AUTOWARE_CONVENTION,
    MMDET3D_CONVENTION,
    HeadConvention(dim_order="lwh", rot_encoding="neg_cos_neg_sin"),
]


def small(**changes: object) -> CenterPointConfig:
    return parse_config(
        {"variant": "demo", "point_cloud_range": (-5.12, -2.56, -4.0, 5.12, 2.56, 4.0), **changes}
    )


def test_components_fulfil_their_specs() -> None:
    config = small(max_voxels=300)
    components = CenterPointComponentExtractor(config).extract(CenterPoint(config))
    assert tuple(component.spec for component in components) == component_specs(config)
    for component in components:
        assert not component.module.training
        for spec, value in zip(component.spec.inputs, component.sample_inputs, strict=True):
            assert spec.mismatch(value.shape, "float32") is None
        with torch.no_grad():
            outputs = component.module(*component.sample_inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        for spec, value in zip(component.spec.outputs, outputs, strict=True):
            assert spec.mismatch(value.shape, "float32") is None


def whole_numbers(model: CenterPoint) -> CenterPoint:
    """Make the last convolutions add whole numbers, so that no order of adding them rounds."""
    for branch in model.pts_bbox_head.task_heads[0].children():
        body, last = branch.children()
        body.register_forward_hook(lambda _module, _inputs, output: (8 * output).round())
        with torch.no_grad():
            for value in last.parameters():
                value.copy_((64 * value).round())
    return model


@pytest.mark.parametrize("head_kernel", [1, 3])
@pytest.mark.parametrize("has_variance", [False, True])
@pytest.mark.parametrize("target", CONVENTIONS)
def test_head_writes_the_configured_convention_exactly(
    has_variance: bool, target: HeadConvention, head_kernel: int
) -> None:
    config = small(has_variance=has_variance, head_convention=target, head_kernel=head_kernel)
    model = whole_numbers(random_model(config))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    _, head = CenterPointComponentExtractor(config).extract(model)
    (canvas,) = head.sample_inputs
    with torch.no_grad():
        exported = head.module(canvas)
        trained = [value.numpy() for value in model.forward_canvas(canvas)]
    names = list(config.head_outputs)
    expected = convert_head_outputs(dict(zip(names, trained, strict=True)), MMDET3D_CONVENTION, target)
    for name, value in zip(names, exported, strict=True):
        assert value.std() > 0, name
        assert torch.equal(value, torch.from_numpy(np.ascontiguousarray(expected[name]))), name
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("simplified", [False, True])
def test_outputs_are_made_in_their_order_by_convolutions_alone(tmp_path: Path, simplified: bool) -> None:
    config = small()
    _, head = CenterPointComponentExtractor(config).extract(CenterPoint(config))
    OnnxExporter(OnnxExportOptions(simplify=simplified)).export(head, tmp_path)
    graph = onnx.load(tmp_path / config.backbone_neck_head_onnx).graph
    makers = [output for node in graph.node for output in node.output if output in config.head_outputs]
    assert makers == [output.name for output in graph.output] == list(config.head_outputs)
    # Builders may number outputs as the nodes come, and rot and vel have the same shape.
    assert {node.op_type for node in graph.node}.isdisjoint({"Gather", "Mul", "Neg"})


def test_samples_repeat_and_stay_small() -> None:
    config = small(max_voxels=90000, point_cloud_range=(-20.48, -20.48, -4.0, 20.48, 20.48, 4.0))
    first, second = (CenterPointComponentExtractor(config).extract(CenterPoint(config)) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a.sample_inputs, b.sample_inputs, strict=True))
    assert first[0].sample_inputs[0].shape[0] == 1024


def test_metadata_names_the_convention() -> None:
    config = small()
    for component in CenterPointComponentExtractor(config).extract(CenterPoint(config)):
        assert component.metadata["head_dim_order"] == "wlh"
        assert component.metadata["head_rot_encoding"] == "neg_cos_neg_sin"
        assert component.metadata["class_names"] == "CAR,TRUCK,BUS,BICYCLE,PEDESTRIAN"


def test_another_kind_of_model_is_refused() -> None:
    with pytest.raises(ExportError, match="wrong type; got Linear; expected CenterPoint"):
        CenterPointComponentExtractor(small()).extract(nn.Linear(1, 1))


def test_a_model_of_another_variant_is_refused() -> None:
    with pytest.raises(ExportError, match="another variant"):
        CenterPointComponentExtractor(small(max_voxels=200)).extract(CenterPoint(small()))
