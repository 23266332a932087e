from __future__ import annotations

import io

import numpy as np
import pytest

from awml_deploy_core import packages
from awml_deploy_core.detections2d import Detections2D, GroundTruth2D
from awml_deploy_core.errors import MissingDependencyError
from awml_deploy_core.images import Image
from awml_deploy_core.reporting.image_view import render_image

pytest.importorskip("matplotlib")

BOXES = Detections2D(
    np.array([[20, 30, 80, 60], [100, 10, 140, 90]], np.float32),
    np.array([0.9, 0.4], np.float32),
    np.array([0, 1], np.int32),
    ("car", "bus"),
)
IMAGE = Image(np.full((100, 160, 3), (200, 0, 0), np.uint8))


def pixels(png: bytes) -> np.ndarray:
    from matplotlib.image import imread

    return np.asarray(imread(io.BytesIO(png), format="png"))[..., :3]


def test_boxes_lie_where_they_are_in_the_image() -> None:
    plain = pixels(render_image(IMAGE, Detections2D.empty(("car", "bus"))))
    # Blue comes first in an image and last in a picture.
    assert plain[-10, 10] == pytest.approx([0, 0, 200 / 255], abs=0.01)
    drawn = pixels(render_image(IMAGE, BOXES, title="a"))
    top = drawn.shape[0] - 100 * 8
    changed = (np.abs(drawn - plain).max(axis=2) > 0.1)[top:]
    assert changed[60 * 8, 20 * 8 : 80 * 8].all()
    assert changed[30 * 8 : 60 * 8, 20 * 8].all()
    assert not changed[70 * 8 :, : 90 * 8].any()
    assert np.array_equal(drawn, pixels(render_image(IMAGE, BOXES, title="a")))


def test_what_is_compared_is_drawn_too() -> None:
    truth = GroundTruth2D(BOXES, np.array([False, True]))
    pictures = {
        render_image(IMAGE, BOXES),
        render_image(IMAGE, BOXES, ground_truth=truth),
        render_image(IMAGE, BOXES.above(0.5), reference=BOXES),
    }
    assert len(pictures) == 3


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        render_image(IMAGE, BOXES)
