from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from awml_deploy_core.detections import Detections
from awml_deploy_core.verification.diagnosis import diagnose

RNG = np.random.default_rng(4)
COUNT = 12
TRUE = Detections(
    RNG.uniform(-50, 50, (COUNT, 3)).astype(np.float32),
    RNG.uniform(0.5, 5, (COUNT, 3)).astype(np.float32),
    RNG.uniform(-3, 3, COUNT).astype(np.float32),
    RNG.uniform(-9, 9, (COUNT, 2)).astype(np.float32),
    np.linspace(0.9, 0.4, COUNT, dtype=np.float32),
    (np.arange(COUNT) % 3).astype(np.int32),
    ("CAR", "BUS", "BICYCLE"),
)

CASES: list[tuple[Callable[[Detections], Detections], str]] = [
    (lambda b: replace(b, sizes=b.sizes[:, [1, 0, 2]]), "length and width are swapped"),
    (lambda b: replace(b, yaws=-b.yaws), "the yaw has the opposite sign"),
    (lambda b: replace(b, yaws=b.yaws + np.float32(np.pi)), "the yaw is turned by half a turn"),
    (
        lambda b: replace(b, yaws=-b.yaws - np.float32(np.pi / 2)),
        "the yaw is -yaw - pi/2, that is in the convention of Autoware's head",
    ),
    (lambda b: replace(b, centers=b.centers[:, [1, 0, 2]]), "x and y are swapped"),
    (lambda b: replace(b, centers=b.centers * np.float32([2, 1, 1])), "x is scaled by 2"),
    (lambda b: replace(b, centers=b.centers + np.float32([0, 3, 0])), "y is shifted by 3 m"),
    (
        lambda b: replace(b, centers=b.centers - b.sizes * np.float32([0, 0, 0.5])),
        "z is that of the bottom of the boxes, not of their centre",
    ),
    (lambda b: replace(b, velocities=b.velocities[:, ::-1]), "vx and vy are swapped"),
    (lambda b: replace(b, velocities=b.velocities * 0), "velocities are missing"),
    (
        lambda b: replace(b, scores=(1 / (1 + np.exp(-b.scores))).astype(np.float32)),
        "the sigmoid is applied twice",
    ),
    (
        lambda b: replace(b, labels=np.array([1, 0, 2], np.int32)[b.labels]),
        "classes changed: CAR became BUS, BUS became CAR",
    ),
]


@pytest.mark.parametrize(("mistake", "text"), CASES)
def test_one_mistake_is_named(mistake: Callable[[Detections], Detections], text: str) -> None:
    assert diagnose(TRUE, mistake(TRUE)) == (text,)


def test_mistakes_together_are_each_named() -> None:
    wrong = replace(TRUE, sizes=TRUE.sizes[:, [1, 0, 2]], yaws=-TRUE.yaws)
    assert len(diagnose(TRUE, wrong)) == 2


def test_nothing_is_said_of_equal_boxes_or_of_other_numbers() -> None:
    assert diagnose(TRUE, TRUE) == ()
    assert diagnose(TRUE, TRUE.select(np.arange(3))) == ()
