from __future__ import annotations

import pytest
import torch
from torch import nn

from awml_extractors.centerpoint.folding import FoldedPillarFeatureNet
from awml_extractors.centerpoint.model import PillarFeatureNet


def trained_like(channels: int, widths: tuple[int, ...]) -> PillarFeatureNet:
    generator = torch.Generator().manual_seed(0)
    encoder = PillarFeatureNet(channels, widths)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm1d):
            size = module.weight.shape
            with torch.no_grad():
                # Negative scales too, which would break an identity that needs a monotone layer.
                module.weight.copy_(torch.randn(size, generator=generator))
                module.bias.copy_(torch.randn(size, generator=generator))
                module.get_buffer("running_mean").copy_(torch.randn(size, generator=generator))
                module.get_buffer("running_var").copy_(torch.rand(size, generator=generator) * 4 + 0.1)
    return encoder.eval()


@pytest.mark.parametrize("widths", [(32,), (32, 32), (16, 32), (8, 16, 24)])
@pytest.mark.parametrize("channels", [9, 11])
def test_equals_the_net_it_is_made_from(channels: int, widths: tuple[int, ...]) -> None:
    encoder = trained_like(channels, widths)
    features = torch.randn(50, 12, channels, generator=torch.Generator().manual_seed(1)) * 10
    features[:, 7:] = 0.0
    with torch.no_grad():
        expected, got = encoder(features), FoldedPillarFeatureNet(encoder)(features)
    assert got.shape == (50, 1, widths[-1])
    torch.testing.assert_close(got, expected, rtol=2e-5, atol=2e-5)
    assert (expected > 0).float().mean() > 0.2


def test_the_net_is_left_as_it_was() -> None:
    encoder = trained_like(9, (32, 32))
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    folded = FoldedPillarFeatureNet(encoder)
    with torch.no_grad():
        for parameter in folded.parameters():
            parameter.zero_()
    for key, value in encoder.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)
