from __future__ import annotations

import numpy as np
import pytest

from awml_deploy_core.errors import TensorMismatchError
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.scatter import PillarScatter

CONFIG = CenterPointConfig(
    point_cloud_range=(0.0, 0.0, -1.0, 16.0, 8.0, 1.0), voxel_size=(1.0, 1.0, 2.0), pfn_channels=(4, 4)
)


def test_each_frame_equals_a_fresh_canvas() -> None:
    rng = np.random.default_rng(0)
    scatter = PillarScatter(CONFIG)
    for count in (20, 3, 0, 128, 50):
        cells = rng.permutation(16 * 8)[:count]
        coordinates = np.stack(np.divmod(cells, 16), axis=1).astype(np.int32)
        features = rng.normal(size=(count, 1, 4)).astype(np.float32)
        expected = np.zeros((1, 4, 8, 16), np.float32)
        expected[0, :, coordinates[:, 0], coordinates[:, 1]] = features[:, 0]
        np.testing.assert_array_equal(scatter.scatter(features, coordinates), expected)


def test_padding_rows_are_ignored() -> None:
    features = np.ones((5, 1, 4), np.float32)
    canvas = PillarScatter(CONFIG).scatter(features, np.array([[7, 15], [0, 3]], np.int32))
    assert canvas.sum() == 8
    assert canvas[0, 0, 7, 15] == canvas[0, 0, 0, 3] == 1


@pytest.mark.parametrize("shape", [(1, 1, 4), (2, 1, 5)])
def test_wrong_features_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TensorMismatchError, match="pillar features"):
        PillarScatter(CONFIG).scatter(np.ones(shape, np.float32), np.array([[0, 0], [1, 1]], np.int32))
