from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from awml_deploy_core.errors import ExportError
from awml_extractors.centerpoint.config import AUTOWARE_CONVENTION, MMDET3D_CONVENTION, CenterPointConfig
from awml_extractors.centerpoint.convention import convert_head_outputs
from awml_extractors.centerpoint.extractor import CenterPointComponentExtractor
from awml_extractors.centerpoint.model import CenterPoint
from awml_extractors.centerpoint.specs import component_specs
from awml_extractors.centerpoint.variants import parse_config


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


@pytest.mark.parametrize("has_variance", [False, True])
@pytest.mark.parametrize("target", [AUTOWARE_CONVENTION, MMDET3D_CONVENTION])
def test_head_writes_the_configured_convention(has_variance: bool, target: object) -> None:
    config = small(has_variance=has_variance, head_convention=target)
    model = CenterPoint(config)
    _, head = CenterPointComponentExtractor(config).extract(model)
    (canvas,) = head.sample_inputs
    with torch.no_grad():
        exported = [value.numpy() for value in head.module(canvas)]
        trained = [value.numpy() for value in model.forward_canvas(canvas)]
    names = list(config.head_outputs)
    expected = convert_head_outputs(
        dict(zip(names, trained, strict=True)), MMDET3D_CONVENTION, config.head_convention
    )
    for name, value in zip(names, exported, strict=True):
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_samples_repeat_and_stay_small() -> None:
    config = small(max_voxels=90000)
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
