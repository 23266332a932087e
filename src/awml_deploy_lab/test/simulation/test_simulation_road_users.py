from __future__ import annotations

import numpy as np
import pytest

from awml_deploy_lab.simulation.primitives import TAPERED_BOX
from awml_deploy_lab.simulation.road_users import CLASS_NAMES, MAKERS


@pytest.mark.parametrize("label", range(len(CLASS_NAMES)), ids=CLASS_NAMES)
def test_shapes_fill_their_boxes_and_hardly_leave_them(label: int) -> None:
    for seed in range(60):
        body = MAKERS[label](np.random.default_rng(seed), 1.0)
        rows, size = body.rows, np.array(body.size)
        assert len(rows) >= 5, "a road user is not one box"
        low, high = rows[:, 1:4] - rows[:, 6:9], rows[:, 1:4] + rows[:, 6:9]
        extent = np.array([high[:, 0].max(), high[:, 1].max(), high[:, 2].max()])
        # What annotators leave out: mirrors, a pushchair, an umbrella, the load of a bicycle.
        attached = {"PEDESTRIAN": 1.15, "BICYCLE": 0.25}.get(CLASS_NAMES[label], 0.2)
        assert (extent <= size * [0.5, 0.5, 1.0] + attached).all()
        assert extent[2] >= 0.9 * size[2]
        assert low[:, 2].min() >= -0.01
        if CLASS_NAMES[label] in ("CAR", "TRUCK", "BUS"):
            assert extent[0] == pytest.approx(size[0] / 2, abs=0.05)


@pytest.mark.parametrize("label", range(len(CLASS_NAMES)), ids=CLASS_NAMES)
def test_bodies_of_a_seed_are_the_same(label: int) -> None:
    first, second = (MAKERS[label](np.random.default_rng(5), 1.0) for _ in range(2))
    np.testing.assert_array_equal(first.rows, second.rows)
    other = MAKERS[label](np.random.default_rng(6), 1.0)
    assert first.size != other.size


def test_cars_have_windows_that_beams_pass() -> None:
    rows = MAKERS[0](np.random.default_rng(0), 1.0).rows
    boxes = rows[rows[:, 0] == TAPERED_BOX]
    assert ((boxes[:, 13] > 0.2) & (boxes[:, 13] < 0.7)).any()
    assert (boxes[:, 9] > 0.3).any(), "a windscreen leans"


def test_scale_scales_the_box() -> None:
    small, large = (MAKERS[0](np.random.default_rng(3), scale).size for scale in (1.0, 1.1))
    np.testing.assert_allclose(np.array(large) / small, 1.1)
