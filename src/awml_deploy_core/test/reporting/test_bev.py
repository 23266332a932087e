from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core import packages
from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import ArtifactError, MissingDependencyError
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.points import PointColumns
from awml_deploy_core.reporting.bev import BevView, box_corners, render_bev, write_bev
from awml_deploy_core.reporting.bev_ground_truth import GroundTruthLayer

CLASSES = ("CAR", "PEDESTRIAN")
SMALL = BevView((-20.0, 20.0), (-20.0, 20.0), pixels=500)


def boxes(*rows: tuple[float, float, float, float, float]) -> Detections:
    """Boxes of x, y, length, width, yaw."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    n = len(table)
    return Detections(
        np.column_stack([table[:, :2], np.zeros(n, np.float32)]),
        np.column_stack([table[:, 2:4], np.ones(n, np.float32)]),
        table[:, 4],
        np.zeros((n, 2), np.float32),
        np.full(n, 0.5, np.float32),
        np.zeros(n, np.int32),
        CLASSES,
    )


def cloud(n: int = 500) -> PointColumns:
    return PointColumns.from_array(np.random.default_rng(0).uniform(-15, 15, (n, 3)).astype(np.float32))


def pixels(png: bytes) -> np.ndarray:
    pytest.importorskip("matplotlib")
    import io

    from matplotlib.image import imread

    return np.asarray(imread(io.BytesIO(png)))


def test_corners_of_a_known_box() -> None:
    corners = box_corners(boxes((10.0, 2.0, 4.0, 2.0, math.pi / 2)))
    np.testing.assert_allclose(corners[0], [[9, 4], [9, 0], [11, 0], [11, 4]], atol=1e-6)


@given(
    st.floats(-50, 50),
    st.floats(-50, 50),
    st.floats(0.1, 20),
    st.floats(0.1, 5),
    st.floats(-math.pi, math.pi),
)
def test_corners_keep_size_centre_and_heading(
    x: float, y: float, length: float, width: float, yaw: float
) -> None:
    corner = box_corners(boxes((x, y, length, width, yaw)))[0]
    np.testing.assert_allclose(corner.mean(axis=0), [x, y], atol=1e-4)
    front = (corner[0] + corner[3]) / 2 - corner.mean(axis=0)
    np.testing.assert_allclose(front, length / 2 * np.array([math.cos(yaw), math.sin(yaw)]), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(corner[0] - corner[3]), width, atol=1e-4)


def test_picture_is_deterministic_and_drawn_to_scale() -> None:
    pytest.importorskip("matplotlib")
    detections = boxes((5.0, 0.0, 4.0, 2.0, 0.3), (-8.0, 3.0, 4.0, 2.0, 3.0))
    first = render_bev(
        cloud(), detections, reference=boxes((5.2, 0.0, 4.0, 2.0, 0.3)), view=SMALL, title="t"
    )
    assert first == render_bev(
        cloud(), detections, reference=boxes((5.2, 0.0, 4.0, 2.0, 0.3)), view=SMALL, title="t"
    )
    image = pixels(first)
    assert image.shape[1] == SMALL.pixels
    assert image[..., :3].max() > 0.9


def test_boxes_and_points_change_the_picture() -> None:
    pytest.importorskip("matplotlib")
    empty = Detections.empty(CLASSES)
    bare = pixels(render_bev(cloud(0), empty, view=SMALL))
    with_points = pixels(render_bev(cloud(), empty, view=SMALL))
    with_box = pixels(render_bev(cloud(0), boxes((5.0, 0.0, 4.0, 2.0, 0.0)), view=SMALL))
    assert (bare != with_points).any(axis=-1).sum() > 500
    assert (bare != with_box).any(axis=-1).sum() > 100


def truth(of: Detections, num_points: int = -1) -> GroundTruth:
    n = len(of)
    return GroundTruth(of, np.full(n, num_points, np.int32), np.full(n, -1, np.int32))


def red(png: bytes) -> int:
    """Number of pixels as red as what is missed or found where nothing is."""
    image = pixels(png)
    return int(((image[..., 0] > 0.85) & (image[..., 1] < 0.3) & (image[..., 2] < 0.3)).sum())


def test_ground_truth_shows_what_is_missed_and_what_is_not_there() -> None:
    found = boxes((5.0, 0.0, 4.0, 2.0, 0.0))
    same, elsewhere = truth(found), truth(boxes((-8.0, 3.0, 4.0, 2.0, 0.0)))
    bare = pixels(render_bev(cloud(0), found, view=SMALL))
    right = render_bev(cloud(0), found, ground_truth=same, view=SMALL)
    wrong = render_bev(cloud(0), found, ground_truth=elsewhere, view=SMALL)
    # One more line of legend, whose red entries both pictures have.
    assert pixels(right).shape[0] > bare.shape[0]
    assert red(wrong) > red(right) + 50
    unseen = render_bev(cloud(0), found, ground_truth=truth(elsewhere.boxes, num_points=0), view=SMALL)
    assert red(right) < red(unseen) < red(wrong)
    assert red(render_bev(cloud(0), found, ground_truth=elsewhere, match_distance=20.0, view=SMALL)) == red(
        right
    )


def test_ground_truth_is_in_the_default_view() -> None:
    far = truth(boxes((120.0, 5.0, 4.0, 2.0, 0.0)))
    here = boxes((5.0, 0.0, 4.0, 2.0, 0.0))
    assert render_bev(cloud(), here, ground_truth=far) != render_bev(
        cloud(), here, ground_truth=far, view=BevView.around(cloud(), [here])
    )


def test_ground_truth_layer_counts_every_box_once() -> None:
    there = boxes(*((x, 0.0, 4.0, 2.0, 0.0) for x in (0.0, 10.0, 20.0)))
    points = np.array([5, 5, 0], np.int32)
    layer = GroundTruthLayer.of(
        boxes((0.5, 0.0, 4.0, 2.0, 0.0), (-9.0, 0.0, 4.0, 2.0, 0.0)),
        GroundTruth(there, points, np.full(3, -1, np.int32)),
        match_distance=2.0,
    )
    assert layer.found.tolist() == [True, False, False]
    assert layer.hidden.tolist() == [False, False, True]
    assert layer.false_positives.centers[:, 0].tolist() == [-9.0]
    pytest.importorskip("matplotlib")
    assert [handle.get_label() for handle in layer.legend_handles()] == [
        "ground truth, found: 1",
        "ground truth, missed: 1",
        "ground truth, not counted: 1",
        "detection of nothing: 1",
    ]


def test_points_that_are_not_finite_or_out_of_view_are_left_out() -> None:
    pytest.importorskip("matplotlib")
    empty = Detections.empty(CLASSES)
    nowhere = np.array([[np.nan, 0, 0], [np.inf, 0, 0], [0, 0, np.nan], [500, 0, 0]], np.float32)
    bare = render_bev(cloud(0), empty, view=SMALL)
    assert render_bev(PointColumns.from_array(nowhere), empty, view=SMALL) == bare


def test_default_view_holds_every_box_and_the_sensor() -> None:
    far = boxes((300.0, 5.0, 4.0, 2.0, 0.0))
    view = BevView.around(cloud(), [far])
    assert view.holds(box_corners(far)[..., 0], box_corners(far)[..., 1]).all()
    assert view.holds(0.0, 0.0)
    width, height = (high - low for low, high in (view.x, view.y))
    assert width <= 3.0001 * height


def test_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / "frame.png"
    write_bev(target, cloud(), Detections.empty(CLASSES), view=SMALL)
    assert target.read_bytes()[:4] == b"\x89PNG"
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(ArtifactError, match="cannot be written"):
        write_bev(tmp_path / "missing" / "frame.png", cloud(), Detections.empty(CLASSES), view=SMALL)


def test_missing_matplotlib_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        return None if name == "matplotlib" else importlib.util.find_spec(name)

    monkeypatch.setattr(packages, "find_spec", absent)
    with pytest.raises(MissingDependencyError, match="pip install"):
        render_bev(cloud(), Detections.empty(CLASSES))
