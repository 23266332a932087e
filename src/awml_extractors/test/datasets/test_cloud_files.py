from __future__ import annotations

import base64
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.errors import DatasetError, PointCloudError
from awml_deploy_core.pointcloud2 import FieldMapping
from awml_deploy_core.points import PointColumns
from awml_extractors.datasets.kitti import read_kitti
from awml_extractors.datasets.lzf import decompress
from awml_extractors.datasets.npy import read_npy
from awml_extractors.datasets.nuscenes import read_nuscenes
from awml_extractors.datasets.pcd import read_pcd

# By another writer: 40 points x = i // 4, y = -x, z = x / 2 (float32), intensity = i % 8 (uint8).
COMPRESSED = base64.b64decode(
    "VkVSU0lPTiAwLjcKRklFTERTIHggeSB6IGludGVuc2l0eQpTSVpFIDQgNCA0IDEKVFlQRSBGIEYgRiBVCkNPVU5UIDEg"
    "MSAxIDEKV0lEVEggNDAKSEVJR0hUIDEKVklFV1BPSU5UIDAuMCAwLjAgMC4wIDEuMCAwLjAgMC4wIDAuMApQT0lOVFMg"
    "NDAKREFUQSBiaW5hcnlfY29tcHJlc3NlZArGAAAACAIAAAEAAOAHAAGAP+AFAwEAQOAFAwBAIA/gAwMAgCAP4AMDAKAg"
    "D+ADAwDAIA/gAwMA4CAP4AMDAQBB4AUDABAgD+ADAwEAgOAFAwGAv+AFAwEAwOAFAwBAIA/gAwMAgCAP4AMDAKAgD+AD"
    "AwDAIA/gAwMA4CAP4AMDAQDB4AUDABAgD+ADA+AIACE/4AMD4QdPAMAgH+ADA+EHXwAgIR/gAwPhA2tACwBgIB/gAwPh"
    "A3tACwCQIB/gAgMGAQIDBAUGB+AVBwEGBw=="
)
HEADER = (
    b"VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 2\nHEIGHT 1\nPOINTS 2\nDATA "
)


def save(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def table(columns: PointColumns) -> np.ndarray:
    assert columns.intensity is not None
    return np.column_stack([columns.x, columns.y, columns.z, columns.intensity])


def test_kitti_reflectance_becomes_intensity(tmp_path: Path) -> None:
    points = np.array([[1, 2, 3, 0], [4, 5, 6, 0.5], [7, 8, 9, 1]], "<f4")
    found = table(read_kitti(save(tmp_path, "a.bin", points.tobytes())))
    np.testing.assert_array_equal(found[:, :3], points[:, :3])
    np.testing.assert_array_equal(found[:, 3], [0, 127.5, 255])


def test_nuscenes_ring_is_dropped(tmp_path: Path) -> None:
    points = np.array([[1, 2, 3, 200, 0], [4, 5, 6, 0, 31]], "<f4")
    found = table(read_nuscenes(save(tmp_path, "a.pcd.bin", points.tobytes())))
    np.testing.assert_array_equal(found, points[:, :4])


@pytest.mark.parametrize("reader", [read_kitti, read_nuscenes, read_pcd, read_npy])
def test_missing_and_empty_files_are_named(reader, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DatasetError, match=r"nowhere.*cannot be read"):
        reader(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="empty"):
        reader(save(tmp_path, "empty", b""))


def test_truncated_records_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path, "a.bin", bytes(4 * 4 * 3 - 1))
    with pytest.raises(
        DatasetError, match="not a whole number of points; got 47 bytes; expected a multiple of 16"
    ):
        read_kitti(path)
    with pytest.raises(DatasetError, match="expected a multiple of 20"):
        read_nuscenes(path)


def test_formats_are_not_confused(tmp_path: Path) -> None:
    nuscenes = np.tile(np.array([1, 2, 3, 200, 7], "<f4"), (4, 1))
    with pytest.raises(DatasetError, match="reflectance outside KITTI's range"):
        read_kitti(save(tmp_path, "nuscenes.bin", nuscenes.tobytes()))
    kitti = np.tile(np.array([1.5, 2.5, 3.5, 0.5], "<f4"), (5, 1))
    with pytest.raises(DatasetError, match="ring is not a beam number"):
        read_nuscenes(save(tmp_path, "kitti.pcd.bin", kitti.tobytes()))


def test_clouds_of_nan_only_are_refused_but_single_nan_points_are_not(tmp_path: Path) -> None:
    points = np.full((5, 5), np.nan, "<f4")
    for name, reader, width in (("a.bin", read_kitti, 4), ("b.pcd.bin", read_nuscenes, 5)):
        with pytest.raises(PointCloudError, match="no point has finite coordinates; got 5 points"):
            reader(save(tmp_path, name, points[:, :width].tobytes()))
    np.save(tmp_path / "c.npy", points)
    with pytest.raises(PointCloudError, match="no point has finite"):
        read_npy(tmp_path / "c.npy")
    points[0] = [1, 2, 3, 0, 0]
    np.save(tmp_path / "c.npy", points)
    assert len(read_npy(tmp_path / "c.npy")) == 5


def test_numpy_files(tmp_path: Path) -> None:
    points = np.arange(20.0).reshape(4, 5)
    np.save(tmp_path / "a.npy", points)
    np.testing.assert_array_equal(table(read_npy(tmp_path / "a.npy")), points[:, :4])
    np.savez(tmp_path / "one.npz", anything=points[:, :3])
    assert read_npy(tmp_path / "one.npz").intensity is None
    np.savez(tmp_path / "two.npz", points=points, labels=np.zeros(4))
    assert len(read_npy(tmp_path / "two.npz")) == 4


def test_unusable_numpy_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.zeros(12))
    with pytest.raises(DatasetError, match=r"not an array of points; got float64 \[12\]"):
        read_npy(tmp_path / "flat.npy")
    np.save(tmp_path / "text.npy", np.array([["a", "b", "c"]]))
    with pytest.raises(DatasetError, match="not an array of points"):
        read_npy(tmp_path / "text.npy")
    np.save(tmp_path / "objects.npy", np.array([[None] * 3]), allow_pickle=True)
    with pytest.raises(DatasetError, match="not a readable numpy file"):
        read_npy(tmp_path / "objects.npy")
    np.savez(tmp_path / "none.npz", a=np.zeros((1, 3)), b=np.zeros((1, 3)))
    with pytest.raises(DatasetError, match=r"no array of points; got arrays a, b; expected points"):
        read_npy(tmp_path / "none.npz")
    np.save(tmp_path / "whole.npy", np.zeros((10, 4)))
    for size in (3, 60, 200):
        with pytest.raises(DatasetError, match="whole"):
            read_npy(save(tmp_path, f"whole{size}.npy", (tmp_path / "whole.npy").read_bytes()[:size]))
    np.savez_compressed(tmp_path / "packed.npz", points=np.arange(40.0).reshape(10, 4))
    with pytest.raises(DatasetError, match="not a readable numpy file"):
        read_npy(save(tmp_path, "cut.npz", (tmp_path / "packed.npz").read_bytes()[:100]))


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (17592186044416, 4), }",
        f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**40}, 4), }}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4, ",
        "(" * 3000,
        "\n  a\n b",
    ],
    ids=["overflow", "memory", "long", "open", "nested", "indent"],
)
def test_a_header_that_lies_is_one_dataset_error(header: str, tmp_path: Path) -> None:
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(64)
    with pytest.raises(DatasetError, match=r"header\.npy: not a readable numpy file; got \S"):
        read_npy(save(tmp_path, "header.npy", content))
    with zipfile.ZipFile(tmp_path / "header.npz", "w") as archive:
        archive.writestr("points.npy", content)
    with pytest.raises(DatasetError, match=r"header\.npz: not a readable numpy file; got \S"):
        read_npy(tmp_path / "header.npz")


def test_an_npz_that_cannot_be_unpacked_is_a_dataset_error(tmp_path: Path) -> None:
    np.savez(tmp_path / "points.npz", points=np.zeros((4, 4), np.float32))
    content = (tmp_path / "points.npz").read_bytes()
    entry = content.index(b"PK\x01\x02")
    encrypted, packed = bytearray(content), bytearray(content)
    encrypted[6] |= 1
    encrypted[entry + 8] |= 1
    packed[8] = packed[entry + 10] = 99
    for name, changed, reason in (("a", encrypted, "encrypted"), ("b", packed, "compression")):
        with pytest.raises(DatasetError, match=f"not a readable numpy file; got .*{reason}"):
            read_npy(save(tmp_path, f"{name}.npz", bytes(changed)))
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("points", b"no array")
    with pytest.raises(DatasetError, match="points is no array"):
        read_npy(tmp_path / "text.npz")


def test_compressed_pcd(tmp_path: Path) -> None:
    found = table(read_pcd(save(tmp_path, "a.pcd", COMPRESSED)))
    x = np.arange(40) // 4
    np.testing.assert_array_equal(found, np.column_stack([x, -x, x / 2, np.arange(40) % 8]))


@given(st.integers(0, 197), st.integers(1, 255))
def test_damaged_compressed_points_never_escape_their_buffers(position: int, change: int) -> None:
    size = 40 * 13
    content = bytearray(COMPRESSED[-198:])
    content[position] ^= change
    found = decompress(bytes(content), size)
    assert found is None or found.size == size


def test_decompression_fills_exactly() -> None:
    assert decompress(b"", 0) is not None
    assert decompress(b"", 1) is None
    assert decompress(b"\x00a", 2) is None
    assert decompress(b"\x01ab", 1) is None
    assert decompress(b"\x20\x00", 3) is None


def test_binary_pcd_with_padding_and_vectors(tmp_path: Path) -> None:
    record = np.dtype(
        [
            ("x", "<f4"),
            ("p", "u1"),
            ("y", "<f8"),
            ("n", "<f4", (3,)),
            ("q", "u1"),
            ("z", "<i2"),
            ("i", "<u2"),
        ]
    )
    points = np.zeros(5, record)
    for name in ("x", "y", "z", "i"):
        points[name] = np.arange(5)
    header = (
        b"# .PCD v0.7\nVERSION .7\nFIELDS x _ y normal _ z i\nSIZE 4 1 8 4 1 2 2\nTYPE F U F F U I U\n"
        b"COUNT 1 1 1 3 1 1 1\nWIDTH 5\nHEIGHT 1\nPOINTS 5\nDATA binary\n"
    )
    path = save(tmp_path, "a.pcd", header + points.tobytes())
    assert read_pcd(path).intensity is None
    found = table(read_pcd(path, FieldMapping(intensity_fallbacks=("i",))))
    np.testing.assert_array_equal(found, np.arange(5)[:, None].repeat(4, axis=1))
    with pytest.raises(DatasetError, match="truncated; got 99 bytes"):
        read_pcd(save(tmp_path, "cut.pcd", path.read_bytes()[: len(header) + 99]))
    with pytest.raises(DatasetError, match="field normal is not a single value"):
        read_pcd(path, FieldMapping(z="normal"))


def test_ascii_pcd(tmp_path: Path) -> None:
    found = read_pcd(save(tmp_path, "a.pcd", HEADER + b"ascii\n1 2.5  3 \r\n4 nan 6\n"))
    np.testing.assert_array_equal(found.y, [2.5, np.nan])
    assert found.x.dtype == np.float32
    with pytest.raises(DatasetError, match="got 1 lines of 3 values; expected 2 lines"):
        read_pcd(save(tmp_path, "b.pcd", HEADER + b"ascii\n1 2 3\n"))
    with pytest.raises(DatasetError, match="invalid ascii points"):
        read_pcd(save(tmp_path, "c.pcd", HEADER + b"ascii\n1 2 3\n4 5\n"))


def test_pcd_that_declares_no_points_is_empty(tmp_path: Path) -> None:
    header = HEADER.replace(b"WIDTH 2", b"WIDTH 0").replace(b"POINTS 2", b"POINTS 0")
    for encoding in (b"ascii\n", b"binary\n", b"binary_compressed\n" + bytes(8)):
        assert len(read_pcd(save(tmp_path, "a.pcd", header + encoding))) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\3\4 something else", "not a PCD file"),
        (b"x" * 100_000, "not a PCD file"),
        (HEADER.replace(b"TYPE F F F", b"TYPE F F") + b"binary\n", "invalid PCD header"),
        (HEADER.replace(b"TYPE F F F", b"TYPE F F Q") + b"binary\n", "invalid PCD header"),
        (HEADER.replace(b"SIZE 4 4 4", b"SIZE 4 4 3") + b"binary\n", "invalid PCD header"),
        (HEADER.replace(b"COUNT 1 1 1", b"COUNT 1 1 0") + b"binary\n", "invalid PCD header"),
        (HEADER.replace(b"WIDTH 2", b"WIDTH two") + b"binary\n", "invalid PCD header"),
        (HEADER.replace(b"WIDTH 2\n", b"") + b"binary\n", "invalid PCD header"),
        (HEADER.replace(b"WIDTH 2", b"WIDTH 3") + b"binary\n", "POINTS is not WIDTH x HEIGHT"),
        (HEADER.replace(b"WIDTH 2", b"WIDTH -2") + b"binary\n", "POINTS is not WIDTH x HEIGHT"),
        (HEADER + b"zipped\n", "unknown PCD encoding; got zipped"),
        (HEADER + b"binary\n" + bytes(23), "truncated"),
        (HEADER + b"binary_compressed\n" + bytes(7), "truncated or inconsistent"),
        (HEADER + b"binary_compressed\n\x05\0\0\0\x18\0\0\0abc", "truncated or inconsistent"),
        (HEADER + b"binary_compressed\n\x03\0\0\0\x18\0\0\0\x02ab", "corrupt compressed points"),
    ],
)
def test_malformed_pcd_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message):
        read_pcd(save(tmp_path, "a.pcd", content))


@pytest.mark.parametrize("value", ["nan", "1e30", "-1"])
def test_an_ascii_value_that_its_type_cannot_hold_is_refused(value: str, tmp_path: Path) -> None:
    path = tmp_path / "cloud.pcd"
    header = "FIELDS x y z intensity\nSIZE 4 4 4 1\nTYPE F F F U\nWIDTH 1\nHEIGHT 1\nPOINTS 1\nDATA ascii\n"
    path.write_text(f"{header}1 2 3 {value}\n")
    with pytest.raises(DatasetError, match="value of field intensity does not fit its type"):
        read_pcd(path)
    path.write_text(
        f"{header}1e300 2 3 255\n1 2 3 0\n".replace("WIDTH 1", "WIDTH 2").replace("POINTS 1", "POINTS 2")
    )
    assert np.isinf(read_pcd(path).x).tolist() == [True, False]


def test_messages_hold_neither_bytes_nor_numpy_s_unsafe_advice(tmp_path: Path) -> None:
    (tmp_path / "a.pcd").write_bytes(b"\x1b[31m\x00\xff\n" * 9)
    with pytest.raises(DatasetError) as caught:
        read_pcd(tmp_path / "a.pcd")
    assert "\\x" not in str(caught.value)
    (tmp_path / "b.npy").write_bytes(b"bad")
    with pytest.raises(DatasetError, match="pickled objects, or no numpy file"):
        read_npy(tmp_path / "b.npy")


def test_pcd_without_coordinates_lists_its_fields(tmp_path: Path) -> None:
    path = save(tmp_path, "a.pcd", HEADER.replace(b"x y z", b"a y z") + b"binary\n" + bytes(24))
    with pytest.raises(PointCloudError, match="no field x; got fields a, y, z"):
        read_pcd(path)


def test_real_files(assets: Path) -> None:
    kitti = read_kitti(assets / "kitti" / "velodyne" / "000008.bin")
    assert len(kitti) == 122_555
    assert kitti.intensity is not None
    assert 200 < kitti.intensity.max() <= 255
    pcd = read_pcd(assets / "pointcloud2_cdr" / "lidar.pcd")
    assert len(pcd) == 115_385
    assert np.abs(table(pcd)).max() < 200
    (sweep,) = (assets / "nuscenes").glob("*.pcd.bin")
    assert len(read_nuscenes(sweep)) == 34_688
