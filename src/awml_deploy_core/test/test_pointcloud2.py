from __future__ import annotations

import array
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_deploy_core.errors import ParameterError, PointCloudError
from awml_deploy_core.pointcloud2 import FieldMapping, columns, columns_of, layout_of
from awml_deploy_core.pointcloud2_fields import (
    DATATYPES,
    POINT_XYZIRC,
    POINT_XYZIRCAEDT,
    RecordField,
    fields_of,
)

FLOAT32 = 7


@dataclass(frozen=True)
class Cloud:
    """The attributes of a sensor_msgs/PointCloud2."""

    height: Any
    width: Any
    fields: tuple[RecordField, ...]
    point_step: Any
    row_step: Any
    data: Any
    is_bigendian: bool = False
    is_dense: bool = True


def xyz_fields(*names: str) -> tuple[RecordField, ...]:
    return tuple(RecordField(name, 4 * i, FLOAT32) for i, name in enumerate(names))


def cloud_of(points: np.ndarray) -> Cloud:
    step = points.dtype.itemsize
    return Cloud(1, len(points), fields_of(points.dtype), step, step * len(points), points.tobytes())


def simple_cloud(n: int = 4) -> Cloud:
    points = np.arange(4 * n, dtype="<f4").reshape(n, 4)
    return Cloud(1, n, xyz_fields("x", "y", "z", "intensity"), 16, 16 * n, points.tobytes())


@pytest.mark.parametrize(
    ("dtype", "step"), [(POINT_XYZIRC, 16), (POINT_XYZIRCAEDT, 32)], ids=["XYZIRC", "XYZIRCAEDT"]
)
def test_autoware_records_are_read_without_a_copy(dtype: np.dtype[Any], step: int) -> None:
    assert dtype.itemsize == step
    assert dtype.fields is not None
    assert [dtype.fields[name][1] for name in ("x", "y", "z", "intensity", "return_type", "channel")] == [
        0, 4, 8, 12, 13, 14,
    ]  # fmt: skip
    points = np.zeros(100, dtype)
    for name in ("x", "y", "z"):
        points[name] = np.random.default_rng(0).normal(size=100)
    points["intensity"] = np.arange(100)
    data = array.array("B", points.tobytes())

    found = columns_of(replace(cloud_of(points), data=data))

    raw = np.frombuffer(data, np.uint8)
    for name in ("x", "y", "z", "intensity"):
        column = getattr(found, name)
        np.testing.assert_array_equal(column, points[name])
        assert np.shares_memory(column, raw)
        assert not column.flags.writeable


@st.composite
def organised_clouds(draw: st.DrawFn) -> tuple[Cloud, dict[str, np.ndarray]]:
    """A cloud of any field order, type, offset, padding, byte order, and its columns."""
    names = draw(st.permutations(["x", "y", "z", "intensity", "ring", "time"]))
    names = [name for name in names if name not in ("ring", "time") or draw(st.booleans())]
    big = draw(st.booleans())
    height = draw(st.integers(1, 4))
    width = draw(st.integers(1, 5))
    fields, offset = [], 0
    for name in names:
        offset += draw(st.integers(0, 5))
        datatype = draw(st.sampled_from(sorted(DATATYPES)))
        count = 1 if name not in ("ring", "time") else draw(st.integers(0, 3))
        fields.append(RecordField(name, offset, datatype, count))
        offset += int(DATATYPES[datatype][1]) * count
    point_step = offset + draw(st.integers(0, 9))
    row_step = width * point_step + draw(st.integers(0, 7))
    seed = draw(st.integers(0, 2**32 - 1))
    data = np.random.default_rng(seed).integers(0, 256, height * row_step, np.uint8)
    expected: dict[str, np.ndarray] = {}
    for field in fields:
        if field.count != 1:
            continue
        dtype = np.dtype((">" if big else "<") + DATATYPES[field.datatype])
        values = [
            np.frombuffer(data.tobytes(), dtype, 1, row * row_step + col * point_step + field.offset)[0]
            for row in range(height)
            for col in range(width)
        ]
        expected[field.name] = np.array(values, dtype)
    cloud = Cloud(height, width, tuple(fields), point_step, row_step, data, big)
    return cloud, expected


@given(organised_clouds())
@settings(max_examples=200, deadline=None)
def test_any_layout_round_trips(case: tuple[Cloud, dict[str, np.ndarray]]) -> None:
    cloud, expected = case
    layout = layout_of(cloud)
    found = columns(layout, cloud.data)
    padded = min(cloud.height, cloud.width) > 1 and cloud.row_step != cloud.width * cloud.point_step
    assert len(found) == cloud.height * cloud.width
    for name in ("x", "y", "z", "intensity"):
        column = getattr(found, name)
        assert (
            column.astype(column.dtype.newbyteorder("=")).tobytes()
            == expected[name].astype(expected[name].dtype.newbyteorder("=")).tobytes()
        )
        assert np.shares_memory(column, cloud.data) == (not padded)


def test_layouts_are_hashable_and_equal_for_clouds_laid_out_alike() -> None:
    first, second = layout_of(simple_cloud()), layout_of(simple_cloud())
    assert first == second
    assert hash(first) == hash(second)
    assert first != layout_of(simple_cloud(5))


@pytest.mark.parametrize(
    "cloud",
    [
        Cloud(0, 0, (), 0, 0, array.array("B")),
        Cloud(1, 0, xyz_fields("x", "y", "z"), 12, 0, b""),
        Cloud(0, 7, xyz_fields("a"), 4, 28, np.zeros(0, np.uint8)),
    ],
    ids=["default message", "width 0", "height 0"],
)
def test_cloud_without_points_has_empty_columns(cloud: Cloud) -> None:
    found = columns_of(cloud)
    assert len(found) == 0
    assert found.intensity is not None
    assert found.intensity.shape == (0,)
    assert columns_of(cloud, FieldMapping(intensity=None)).intensity is None


def test_non_finite_points_are_left_to_the_consumer() -> None:
    points = np.full((3, 4), np.nan, np.float32)
    cloud = replace(simple_cloud(3), data=points.tobytes())
    assert np.isnan(columns_of(cloud).x).all()


def test_mapping_chooses_fields() -> None:
    cloud = Cloud(
        1, 1, xyz_fields("px", "py", "pz", "reflectivity", "i"), 20, 20, np.arange(5, dtype="<f4").tobytes()
    )
    plain = FieldMapping("px", "py", "pz")
    assert columns_of(cloud, plain).intensity is None
    found = columns_of(cloud, replace(plain, intensity_fallbacks=("i", "reflectivity")))
    assert found.x[0] == 0
    assert found.intensity is not None
    assert found.intensity[0] == 4


@pytest.mark.parametrize("names", [("x", "x", "z"), ("", "y", "z"), ("intensity", "y", "z")])
def test_mapping_refuses_ambiguous_names(names: tuple[str, str, str]) -> None:
    with pytest.raises(ParameterError, match="not distinct"):
        FieldMapping(*names)


SIMPLE = simple_cloud()
XYZ = xyz_fields("x", "y", "z")
XY = XYZ[:2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, r"data: wrong length; got 64 bytes; expected 0"),
        ({"data": SIMPLE.data[:-1]}, r"data: wrong length; got 63 bytes; expected 64 bytes"),
        ({"data": SIMPLE.data + b"0"}, r"data: wrong length; got 65 bytes"),
        ({"data": None}, r"data: not a contiguous byte buffer; got NoneType"),
        ({"data": [0] * 64}, r"data: not a contiguous byte buffer; got list"),
        ({"data": np.zeros(128, np.uint8)[::2]}, r"data: not a contiguous byte buffer"),
        ({"row_step": 63}, r"row_step: smaller than a row; got 63; expected at least 64"),
        ({"row_step": 0}, r"row_step: smaller than a row; got 0"),
        ({"row_step": 65}, r"data: wrong length; got 64 bytes; expected 65"),
        ({"point_step": 12}, r"point_step: too small for field intensity; got 12; expected at least 16"),
        ({"point_step": 0}, r"point_step: too small for field x"),
        ({"width": -1}, r"width: out of range; got -1"),
        ({"width": "4"}, r"width: out of range; got 4"),
        ({"height": 2**32}, r"height: out of range"),
        ({"height": 2**32 - 1}, r"data: wrong length"),
        ({"width": 2**32 - 1}, r"row_step: size of a row overflows 32 bits"),
        ({"fields": ()}, r"fields: no field x, y, z; got fields none"),
        ({"fields": xyz_fields("x", "b", "c")}, r"no field y, z; got fields x, b, c; expected x, y, z"),
        ({"fields": xyz_fields("x", "y", "z", "x")}, r"duplicate field x"),
        ({"fields": (*XYZ, RecordField("t", 12, 9))}, r"field t: unknown datatype; got 9"),
        ({"fields": (*XYZ, RecordField("t", 12, 0))}, r"field t: unknown datatype; got 0"),
        ({"fields": (*XY, RecordField("z", 8, 7, 2))}, r"field z: not a single value; got count 2"),
        ({"fields": (*XY, RecordField("z", 8, 7, 0))}, r"field z: not a single value; got count 0"),
        ({"fields": (*XY, RecordField("z", -4, 7))}, r"field z offset: out of range; got -4"),
        ({"fields": (*XYZ, RecordField("t", 2**32 - 1, 8))}, r"point_step: too small for field t"),
        ({"fields": (*XYZ, RecordField("t", 0, 8, 2**32 - 1))}, r"point_step: too small for field t"),
    ],
)
def test_malformed_clouds_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PointCloudError, match=message):
        columns_of(replace(SIMPLE, **changes))


def test_repeated_padding_names_do_not_matter() -> None:
    fields = (*XYZ, RecordField("_", 12, 2), RecordField("_", 13, 2))
    assert len(columns_of(replace(SIMPLE, fields=fields))) == 4


def test_record_of_unrepresentable_type_is_refused() -> None:
    with pytest.raises(PointCloudError, match="field t: unknown datatype"):
        fields_of(np.dtype([("t", "<u8")]))


def test_real_message_with_unaligned_points(assets: Path) -> None:
    stores = pytest.importorskip("rosbags.typesys")
    store = stores.get_typestore(stores.Stores.ROS2_HUMBLE)
    raw = (assets / "pointcloud2_cdr" / "dds_message.bin").read_bytes()
    message = store.deserialize_cdr(raw, "sensor_msgs/msg/PointCloud2")
    assert message.point_step == 26

    found = columns_of(message)

    record = np.dtype(
        {
            "names": ["x", "y", "z", "intensity"],
            "formats": ["<f4"] * 4,
            "offsets": [0, 4, 8, 12],
            "itemsize": 26,
        }
    )
    expected = np.frombuffer(message.data.tobytes(), record)
    assert len(found) == 64_000
    for name in ("x", "y", "z", "intensity"):
        np.testing.assert_array_equal(getattr(found, name), expected[name])
        assert np.shares_memory(getattr(found, name), message.data)
    assert np.nanmax(np.abs(found.x)) < 500
