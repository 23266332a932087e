"""The scatter kernels on an emulated GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_emulation import EmulatedContext
from device_frames import small_config
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_extractors.centerpoint.device.scatter import DeviceScatter
from awml_extractors.centerpoint.scatter import PillarScatter

ROWS = 60


class ScatterPair:
    """The same frames scattered by both, one after another."""

    def __init__(self, dtype: Any, channels: int, seed: int) -> None:
        self.config = small_config(pfn_channels=(8, channels), max_voxels=ROWS)
        self.context = EmulatedContext(seed)
        self.device = DeviceScatter(
            self.context.as_context(), self.config, dtype=dtype, load=self.context.load
        )
        self.cpu = PillarScatter(self.config)
        self.features = self.context.buffer((ROWS, 1, channels), dtype, fill=0)
        self.coordinates = self.context.buffer((ROWS, 2), np.int32, fill=0)
        self.pillars = self.context.buffer((1,), np.uint32, fill=0)
        self.bound = self.device.bind(self.features, self.coordinates, self.pillars)

    def check(self, count: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        nx, ny = self.config.grid_size
        coordinates = np.stack(np.divmod(rng.permutation(nx * ny)[:count], nx), axis=1).astype(np.int32)
        features = self.context.view(self.features)
        features[:] = rng.normal(size=features.shape)
        self.context.view(self.coordinates)[:count] = coordinates
        self.context.view(self.pillars)[0] = count
        self.bound.enqueue(0)
        expected = self.cpu.scatter(features.astype(np.float32), coordinates)
        np.testing.assert_array_equal(self.context.view(self.device.canvas), expected)
        self.context.check_guards()


@pytest.mark.parametrize(("dtype", "channels"), [(np.float32, 32), (np.float16, 32), (np.float16, 6)])
@settings(max_examples=15, deadline=None)
@given(counts=st.lists(st.integers(0, ROWS), min_size=1, max_size=5), seed=st.integers(0, 1000))
def test_every_frame_is_that_of_the_cpu(dtype: Any, channels: int, counts: list[int], seed: int) -> None:
    both = ScatterPair(dtype, channels, seed)
    for index, count in enumerate(counts):
        both.check(count, seed + index)


def test_only_cells_of_this_frame_and_the_last_are_touched() -> None:
    both = ScatterPair(np.float32, 4, 0)
    both.check(40, 0)
    both.check(30, 1)
    canvas = both.context.view(both.device.canvas)
    untouched = (canvas == 0).all(axis=1, keepdims=True) & np.ones_like(canvas, bool)
    both.check(0, 2)
    canvas[untouched] = 7
    both.context.view(both.pillars)[0] = 0
    both.bound.enqueue(0)
    assert (canvas[untouched] == 7).all()
