"""A convention that the extractor gets wrong gives other boxes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from awml_deploy_core.device import CPU
from awml_deploy_core.errors import ExportError
from awml_deploy_core.verification import Status
from awml_deploy_core.verification.probing import Decoder, run_probes
from awml_extractors.centerpoint import extractor
from awml_extractors.centerpoint.convention import ChannelMap
from awml_extractors.centerpoint.family import CenterPointFamily
from awml_extractors.centerpoint.model import CenterPoint

FAMILY = CenterPointFamily()
SMALL = {"variant": "demo", "point_cloud_range": [-5.12, -5.12, -4.0, 5.12, 5.12, 4.0]}
CONVENTIONS = [
    {"dim_order": dim, "rot_encoding": rot}
    for dim in ("lwh", "wlh")
    for rot in ("sin_cos", "neg_cos_neg_sin")
]


def failures(**changes: Any) -> str:
    config = FAMILY.parse_config({**SMALL, **changes})
    probes = FAMILY.extractor_probes(config, CenterPoint(config).eval())
    checks = list(run_probes(FAMILY, probes, [Decoder("bundle", config, CPU)]))
    assert checks
    return "\n".join(check.message for check in checks if check.status is not Status.PASSED)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("has_variance", [False, True])
def test_boxes_survive_the_extraction_in_every_convention(
    convention: dict[str, str], has_variance: bool
) -> None:
    assert failures(head_convention=convention, has_variance=has_variance) == ""


@pytest.mark.parametrize(
    ("name", "wrong", "expected"),
    [
        ("dim_map", ChannelMap((0, 1, 2), (1.0,) * 3), "length and width are swapped"),
        ("rot_map", ChannelMap((0, 1), (1.0, 1.0)), "the yaw is -yaw - pi/2"),
        ("rot_map", ChannelMap((1, 0), (1.0, 1.0)), "the yaw is turned by half a turn"),
    ],
)
def test_a_convention_that_the_extractor_forgets_is_caught(
    monkeypatch: pytest.MonkeyPatch, name: str, wrong: ChannelMap, expected: str
) -> None:
    monkeypatch.setattr(extractor, name, lambda *_: wrong)
    assert expected in failures()


def test_the_model_stays_as_it_is() -> None:
    config = FAMILY.parse_config(SMALL)
    model = CenterPoint(config).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    FAMILY.extractor_probes(config, model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_another_model_is_refused() -> None:
    with pytest.raises(ExportError, match="wrong type"):
        FAMILY.extractor_probes(FAMILY.parse_config(SMALL), nn.Identity())
