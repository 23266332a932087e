import numpy as np
import pytest

from awml_deploy_core.errors import PointCloudError
from awml_deploy_core.points import PointCloudFrame, PointColumns, Sweep


def test_columns_of_an_array_are_views() -> None:
    points = np.arange(20, dtype=np.float32).reshape(4, 5)
    columns = PointColumns.from_array(points)
    assert len(columns) == 4
    assert columns.intensity is not None
    for column in (columns.x, columns.y, columns.z, columns.intensity):
        assert np.shares_memory(column, points)


def test_an_array_of_three_columns_has_no_intensity() -> None:
    assert PointColumns.from_array(np.zeros((2, 3))).intensity is None


@pytest.mark.parametrize("shape", [(4,), (4, 2), (2, 2, 4)])
def test_an_array_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(PointCloudError, match=r"wrong shape.*expected \[N, 3\+\]"):
        PointColumns.from_array(np.zeros(shape))


@pytest.mark.parametrize("name", ["y", "z", "intensity"])
def test_columns_of_different_lengths_are_refused(name: str) -> None:
    columns = dict.fromkeys(("x", "y", "z", "intensity"), np.zeros(3)) | {name: np.zeros(2)}
    with pytest.raises(PointCloudError, match=f"column {name}: wrong shape"):
        PointColumns(**columns)


def test_a_frame_counts_the_points_of_all_sweeps() -> None:
    three, two = (PointColumns.from_array(np.zeros((n, 4))) for n in (3, 2))
    frame = PointCloudFrame((Sweep(three), Sweep(two, time_lag=0.1)))
    assert frame.num_points == 5
    assert PointCloudFrame.single(three, "base_link", 7).num_points == 3


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8"])
def test_points_without_finite_coordinates_are_counted(kind: str) -> None:
    points = np.ones((6, 4), kind)
    assert PointColumns.from_array(points).count_non_finite() == 0
    points[1, 0] = np.nan
    points[2, 2] = np.inf
    points[3, 1], points[3, 2] = np.inf, -np.inf
    points[4, 3] = np.nan  # Intensity is no coordinate.
    assert PointColumns.from_array(points).count_non_finite() == 3


def test_huge_and_integer_coordinates_are_finite() -> None:
    assert PointColumns.from_array(np.full((9, 3), 3e38, np.float32)).count_non_finite() == 0
    assert PointColumns.from_array(np.ones((9, 3), np.int16)).count_non_finite() == 0
    assert PointColumns.from_array(np.ones((0, 3), np.float32)).count_non_finite() == 0
