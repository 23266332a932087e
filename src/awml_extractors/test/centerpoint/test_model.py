from __future__ import annotations

import pytest
import torch
from torch import nn

from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.model import CenterPoint, PFNLayer, PillarFeatureNet
from awml_extractors.centerpoint.variants import VARIANTS, parse_config

SMALL = {"point_cloud_range": (-5.12, -2.56, -4.0, 5.12, 2.56, 4.0), "voxel_size": (0.16, 0.16, 8.0)}


def small(variant: str, **changes: object) -> CenterPointConfig:
    return parse_config({"variant": variant, **SMALL, **changes})


@pytest.mark.parametrize(
    ("variant", "parameters"),
    [
        ("autoware_base", 5_241_151),
        ("autoware_tiny", 5_241_151),
        ("awml_1_6", 5_036_863),
        ("awml_1_7", 5_036_879),
        ("awml_2_3", 5_036_879),
        ("awml_2_5", 4_619_087),
        ("awml_2_6", 4_619_087),
        ("awml_j6gen2", 4_619_103),
        ("awml_short_range", 4_619_087),
        ("demo", 776_159),
    ],
)
def test_number_of_parameters(variant: str, parameters: int) -> None:
    model = CenterPoint(parse_config({"variant": variant}))
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_parameter_test_covers_every_variant() -> None:
    mark = test_number_of_parameters.pytestmark[0]  # type: ignore[attr-defined]
    assert {case[0] for case in mark.args[1]} == set(VARIANTS)


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_output_shapes(variant: str) -> None:
    config = small(variant)
    model = CenterPoint(config).eval()
    features = torch.rand(7, config.max_points_per_voxel, config.num_encoder_features)
    with torch.no_grad():
        outputs = model(features, torch.arange(7))
    width, height = config.output_size
    assert [tuple(output.shape) for output in outputs] == [
        (1, channels, height, width) for channels in config.head_outputs.values()
    ]


def test_variance_doubles_every_output_but_the_heatmap() -> None:
    outputs = CenterPoint(small("demo", has_variance=True)).eval()(torch.rand(3, 16, 9), torch.arange(3))
    assert [output.shape[1] for output in outputs] == [5, 4, 2, 6, 4, 4]


def test_keys_are_mmdet3d_s() -> None:
    keys = set(CenterPoint(small("autoware_base")).state_dict())
    assert {
        "pts_voxel_encoder.pfn_layers.0.linear.weight",
        "pts_voxel_encoder.pfn_layers.1.norm.running_var",
        "pts_backbone.blocks.0.0.weight",
        "pts_backbone.blocks.2.16.running_mean",
        "pts_neck.deblocks.2.1.bias",
        "pts_bbox_head.shared_conv.conv.weight",
        "pts_bbox_head.shared_conv.bn.weight",
        "pts_bbox_head.task_heads.0.heatmap.0.conv.weight",
        "pts_bbox_head.task_heads.0.vel.1.bias",
    } <= keys
    assert not any(key.endswith("conv.bias") for key in keys)


def test_pfn_equals_a_computation_by_hand() -> None:
    torch.manual_seed(0)
    encoder = PillarFeatureNet(9, (32, 32)).eval()
    for layer in encoder.pfn_layers:
        assert isinstance(layer, PFNLayer)
        layer.norm.running_mean.normal_()  # type: ignore[union-attr, operator]
        layer.norm.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr, operator]
        nn.init.normal_(layer.norm.weight)
        nn.init.normal_(layer.norm.bias)
    points = torch.randn(4, 6, 9, dtype=torch.float64)
    points[1, 3:] = 0.0

    def by_hand(x: torch.Tensor, layer: PFNLayer) -> torch.Tensor:
        x = x @ layer.linear.weight.double().T
        scale = layer.norm.weight.double() / torch.sqrt(layer.norm.running_var.double() + 1e-3)  # type: ignore[union-attr, operator]
        x = (x - layer.norm.running_mean.double()) * scale + layer.norm.bias.double()  # type: ignore[union-attr, operator]
        return x.clamp_min(0.0)

    first, second = encoder.pfn_layers
    assert isinstance(first, PFNLayer)
    assert isinstance(second, PFNLayer)
    x = by_hand(points, first)
    x = torch.cat([x, x.max(dim=1, keepdim=True).values.repeat(1, 6, 1)], dim=2)
    expected = by_hand(x, second).max(dim=1, keepdim=True).values
    with torch.no_grad():
        actual = encoder(points.float())
    assert actual.shape == (4, 1, 32)
    torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=1e-5)


def test_padding_takes_part_in_the_maximum() -> None:
    encoder = PillarFeatureNet(9, (8, 8)).eval()
    one = torch.rand(1, 1, 9)
    padded = torch.cat([one, torch.zeros(1, 3, 9)], dim=1)
    nn.init.constant_(encoder.pfn_layers[0].norm.bias, 5.0)  # type: ignore[union-attr, arg-type]
    nn.init.constant_(encoder.pfn_layers[0].linear.weight, -1.0)  # type: ignore[union-attr, arg-type]
    nn.init.constant_(encoder.pfn_layers[1].linear.weight, 1.0)  # type: ignore[union-attr, arg-type]
    assert (encoder(padded) > encoder(one)).all()


@pytest.mark.parametrize(
    ("stride", "conv_for_no_stride", "kind", "shape"),
    [
        (0.5, True, nn.Conv2d, (24, 32, 2, 2)),
        (1.0, True, nn.Conv2d, (24, 32, 1, 1)),
        (1.0, False, nn.ConvTranspose2d, (32, 24, 1, 1)),
        (2.0, True, nn.ConvTranspose2d, (32, 24, 2, 2)),
    ],
)
def test_neck_layer_by_stride(
    stride: float, conv_for_no_stride: bool, kind: type[nn.Module], shape: tuple[int, ...]
) -> None:
    config = small(
        "demo",
        backbone_strides=(2, 2, 2),
        neck_strides=(stride, 2 * stride, 4 * stride),
        neck_channels=(24, 24, 24),
        neck_conv_for_no_stride=conv_for_no_stride,
    )
    layer = CenterPoint(config).pts_neck.deblocks[0][0]  # type: ignore[index]
    assert isinstance(layer, kind)
    assert layer.weight.shape == shape  # type: ignore[union-attr]


def test_scatter_puts_pillars_at_y_times_nx_plus_x() -> None:
    config = small("demo")
    nx, ny = config.grid_size
    features = torch.rand(2, 1, config.num_pillar_features)
    canvas = CenterPoint(config).scatter(features, torch.tensor([5 * nx + 3, (ny - 1) * nx]))
    assert canvas.shape == (1, config.num_pillar_features, ny, nx)
    assert torch.equal(canvas[0, :, 5, 3], features[0, 0])
    assert torch.equal(canvas[0, :, ny - 1, 0], features[1, 0])
    assert canvas.count_nonzero() == features.count_nonzero()


def test_forward_is_deterministic() -> None:
    config = small("demo")
    model = CenterPoint(config).eval()
    features, cells = torch.rand(50, 16, 9), torch.arange(0, 500, 10)
    first, second = model(features, cells), model(features, cells)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
