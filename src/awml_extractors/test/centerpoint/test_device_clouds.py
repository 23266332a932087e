"""Clouds are sent once, whatever their layout, and steady streams allocate nothing."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_emulation import EmulatedContext
from device_frames import LAYOUTS, F, laid_out, past_sweeps, small_config

from awml_deploy_core.points import PointColumns, Sweep
from awml_extractors.centerpoint.device.clouds import DeviceClouds
from awml_extractors.centerpoint.device.record_span import span_of


def cloud(count: int, seed: int = 0) -> PointColumns:
    return PointColumns.from_array(np.random.default_rng(seed).uniform(0, 1, (count, 4)).astype(F))


def clouds_of(context: EmulatedContext, staging_bytes: int = 0) -> DeviceClouds:
    return DeviceClouds(context.as_context(), small_config(), staging_bytes)


def test_a_past_sweep_is_not_sent_again() -> None:
    context = EmulatedContext()
    clouds = clouds_of(context)
    first, second, third = (cloud(1000, seed) for seed in range(3))
    before = clouds.place(0, past_sweeps([first]).sweeps)
    sent = context.uploaded
    now = clouds.place(0, past_sweeps([second, first]).sweeps)
    assert context.uploaded == 2 * sent
    assert now[1] == before[0]
    clouds.place(0, past_sweeps([third, second, first]).sweeps)
    assert context.uploaded == 3 * sent


def test_the_current_sweep_is_sent_even_if_it_is_an_object_of_the_last_frame() -> None:
    """Its bytes may have changed."""
    context = EmulatedContext()
    clouds = clouds_of(context)
    values = np.zeros((100, 4), F)
    columns = PointColumns.from_array(values)
    clouds.place(0, past_sweeps([columns]).sweeps)
    values += 1
    (placed,) = clouds.place(0, past_sweeps([columns]).sweeps)
    found = np.zeros(1, F)
    context.download(found, placed.address)
    assert found[0] == 1


def test_one_cloud_twice_in_a_frame_is_sent_once() -> None:
    context = EmulatedContext()
    columns = cloud(500)
    placed = clouds_of(context).place(0, (Sweep(columns), Sweep(columns, 0.1, np.eye(4))))
    assert placed[0] == placed[1]
    assert context.uploaded == 500 * 16 - 4  # Without the intensity, which this model does not use.


def test_a_steady_stream_allocates_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    context = EmulatedContext()
    clouds = clouds_of(context)
    stream = [cloud(9_000 + 100 * index, index) for index in range(10)]
    for index in range(2, 5):
        clouds.place(0, past_sweeps(stream[index : index - 3 : -1] if index > 2 else stream[:3]).sweeps)

    def allocate(size: int) -> int:
        raise AssertionError(f"{size} bytes allocated")

    monkeypatch.setattr(context, "allocate", allocate)
    for index in range(5, 10):
        clouds.place(0, past_sweeps(stream[index : index - 3 : -1]).sweeps)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_more_than_the_staging_memory_arrives(layout: str) -> None:
    """Every layout, in chunks: what is read back as float32 is what the columns hold."""
    context = EmulatedContext()
    points = np.random.default_rng(0).uniform(0, 100, (300_000, 4)).astype(F)
    columns = laid_out(points, layout)
    (placed,) = clouds_of(context).place(0, (Sweep(columns),))
    size = (len(points) - 1) * placed.step + placed.offsets[2] + 8
    found = np.zeros(size, np.uint8)
    context.download(found, placed.address)
    span = span_of({"x": columns.x, "y": columns.y, "z": columns.z})
    dtype = F if span is None else columns.z.dtype
    z = np.ndarray(len(points), dtype, found.data, placed.offsets[2], (placed.step,))
    np.testing.assert_array_equal(z, columns.z if span else columns.z.astype(F))
    context.check_guards()


def test_what_was_received_into_pinned_memory_is_not_staged() -> None:
    context = EmulatedContext()
    clouds = clouds_of(context)
    memory = clouds.receive_into(4 << 20)
    columns = PointColumns.from_array(memory.view(F).reshape(-1, 4))
    copies: list[tuple[int, int, int]] = []
    context.copy = lambda target, source, size, stream=None: copies.append((target, source, size))  # type: ignore[method-assign]
    clouds.place(0, (Sweep(columns),))
    assert [(source, size) for _, source, size in copies] == [(memory.ctypes.data, (4 << 20) - 4)]


def test_columns_of_one_buffer_are_found() -> None:
    points = np.zeros((10, 5), F)
    x, y, z = points[:, 1], points[:, 0], points[:, 4]
    span = span_of({"x": x, "y": y, "z": z})
    assert span is not None
    assert (span.address, span.size, span.step) == (points.ctypes.data, points.nbytes, 20)
    assert span.offsets == (4, 0, 16, 0)
    assert span_of({"x": x, "y": y.copy(), "z": z}) is None
    assert span_of({"x": x, "y": y, "z": z.astype(np.float16)}) is None
    assert span_of({"x": x[::-1], "y": y[::-1], "z": z[::-1]}) is None
    wide = np.zeros((10, 100), F)
    assert span_of({"x": wide[:, 0], "y": wide[:, 1], "z": wide[:, 2]}) is None
