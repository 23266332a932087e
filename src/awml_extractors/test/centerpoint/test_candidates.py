"""Candidates are what is decoded, and say which decisions are narrow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_deploy_core.detections import Detections
from awml_deploy_core.pipeline import Candidates
from awml_extractors.centerpoint.candidates import find_candidates
from awml_extractors.centerpoint.class_remapper import ClassRemapper
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.decode import HeadMaps, decode_autoware
from awml_extractors.centerpoint.decode_mmdet3d import decode_mmdet3d
from awml_extractors.centerpoint.probe_encoding import KnownBox, encode
from awml_extractors.centerpoint.variants import parse_config

CONFIG = parse_config({"variant": "demo", "point_cloud_range": [-5.12, -5.12, -4.0, 5.12, 5.12, 4.0]})
DECODERS = {"autoware": decode_autoware, "mmdet3d": decode_mmdet3d}
DELTA = 1e-3


def options_of(**changes: Any) -> Any:
    return CONFIG.postprocess.merged({"remap_classes": False, **changes}, CONFIG.class_names)


def found(maps: Any, margins: dict[str, float], **changes: Any) -> Candidates:
    outputs = HeadMaps.from_outputs(CONFIG, maps)
    remapper = ClassRemapper(CONFIG.class_names, ())
    return find_candidates(outputs, CONFIG, options_of(**changes), remapper, margins)


def random_maps(seed: int, config: CenterPointConfig = CONFIG) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    w, h = config.output_size
    maps = {
        name: rng.normal(size=(1, channels, h, w)).astype(np.float32)
        for name, channels in config.head_outputs.items()
    }
    maps["heatmap"] -= 1.5
    return maps


def heights(boxes: Detections) -> set[tuple[float, int]]:
    """z and class of every box: z comes from the maps as it is, and tells random cells apart."""
    return {(float(z), int(k)) for z, k in zip(boxes.centers[:, 2], boxes.labels, strict=True)}


@pytest.mark.parametrize("decoder", DECODERS)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_without_margins_they_are_what_the_decoder_gives(decoder: str, seed: int) -> None:
    maps = random_maps(seed)
    options = options_of(decoder=decoder)
    decoded = DECODERS[decoder](HeadMaps.from_outputs(CONFIG, maps), CONFIG, options).detections
    candidates = found(maps, {}, decoder=decoder)
    clear = candidates.boxes.select(np.array([not text for text in candidates.narrow], bool))
    assert heights(clear) <= heights(decoded) <= heights(candidates.boxes)


@pytest.mark.parametrize("decoder", DECODERS)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_what_a_small_difference_decides_was_narrow(decoder: str, seed: int) -> None:
    """Every box that appears or disappears under a difference within the margins is a narrow candidate."""
    maps, rng = random_maps(seed), np.random.default_rng(seed + 1)
    names = ("heatmap", "reg", "rot")
    moved = {
        name: value + (rng.uniform(-DELTA, DELTA, value.shape).astype(np.float32) if name in names else 0)
        for name, value in maps.items()
    }
    options = options_of(decoder=decoder)
    margins = dict.fromkeys(names, 2 * DELTA)
    sides = []
    for side in (maps, moved):
        decoded = DECODERS[decoder](HeadMaps.from_outputs(CONFIG, side), CONFIG, options).detections
        candidates = found(side, margins, decoder=decoder)
        sides.append(
            (
                heights(decoded),
                {
                    (float(z), int(label)): text
                    for z, label, text in zip(
                        candidates.boxes.centers[:, 2],
                        candidates.boxes.labels,
                        candidates.narrow,
                        strict=True,
                    )
                },
            )
        )
    (before, narrow_before), (after, narrow_after) = sides
    for key in before - after:
        assert narrow_before[key]
    for key in after - before:
        assert narrow_after[key]


@pytest.mark.parametrize(
    ("box", "margins", "expected"),
    [
        (KnownBox(0, (1.0, 1.0, 0.0), (2, 1, 1), score=0.35005), {"heatmap": 1e-3}, "threshold 0.35"),
        (KnownBox(0, (1.0, 1.0, 0.0), (2, 1, 1), rot_norm=0.3001), {"rot": 1e-3}, "rot norm"),
        (
            KnownBox(0, (49.9999, 0.0, 0.0), (2, 1, 1), cell=(3, 4)),
            {"reg": 1e-3},
            "limit of a distance bin",
        ),
        (KnownBox(0, (1.0, 1.0, 0.0), (2, 1, 1)), {"heatmap": 1e-3, "rot": 1e-3, "reg": 1e-3}, ""),
    ],
)
def test_the_narrow_decision_is_named(box: KnownBox, margins: dict[str, float], expected: str) -> None:
    candidates = found(encode(CONFIG, [box]), margins)
    assert len(candidates.boxes) == 1
    assert expected in candidates.narrow[0]
    assert bool(candidates.narrow[0]) == bool(expected)


def test_classes_that_tie_are_both_candidates() -> None:
    maps = encode(CONFIG, [KnownBox(0, (1.0, 1.0, 0.0), (2, 1, 1))])
    maps["heatmap"][0, 1] = maps["heatmap"][0, 0] - np.float32(1e-4)
    candidates = found(maps, {"heatmap": 1e-3})
    assert sorted(candidates.boxes.labels[:2].tolist()) == [0, 1]
    assert all("ties with" in text for text in candidates.narrow[:2])


def test_boxes_that_are_not_finite_are_no_candidates() -> None:
    maps = encode(CONFIG, [KnownBox(0, (1.0, 1.0, 0.0), (2, 1, 1))])
    maps["dim"][:] = 200
    assert len(found(maps, {}).boxes) == 0
