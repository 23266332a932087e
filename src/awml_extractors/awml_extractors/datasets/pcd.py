"""Point Cloud Data files (PCD 0.7): ascii, binary and binary_compressed."""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import DatasetError
from awml_deploy_core.pointcloud2 import DEFAULT_MAPPING, FieldMapping
from awml_deploy_core.points import PointColumns
from awml_extractors.datasets.records import read_bytes, require_finite

_TYPES = {"F": "f", "I": "i", "U": "u"}
_ENCODINGS = ("ascii", "binary", "binary_compressed")
_MAX_HEADER = 16384


@dataclass(frozen=True)
class PcdHeader:
    """What the header of a PCD file declares."""

    record: np.dtype[Any]
    """Packed little-endian record; repeated names (PCL's padding ``_``) carry their position."""
    num_points: int
    encoding: str
    size: int
    """Bytes of the header; the points follow."""


def read_pcd(path: Path, mapping: FieldMapping = DEFAULT_MAPPING) -> PointColumns:
    """Columns of a PCD file in the sensor frame; intensity as stored, the viewpoint is not applied.

    Raises:
        DatasetError: The file is missing, truncated or not a PCD file.
        PointCloudError: It lacks x, y or z, or no point is finite.
    """
    content = read_bytes(path)
    header = _parse_header(path, content)
    names = header.record.names or ()
    chosen = mapping.choose(names, str(path))
    wanted = set(chosen.values())
    for name in wanted:
        if header.record[name].shape:
            raise DatasetError(path, f"field {name} is not a single value", got=header.record[name])
    body = memoryview(content)[header.size :]
    fields: Mapping[str, npt.NDArray[Any]] | npt.NDArray[Any]
    if header.encoding == "ascii":
        fields = _read_ascii(path, header, body, wanted)
    elif header.encoding == "binary":
        fields = _read_binary(path, header, body)
    else:
        fields = _read_compressed(path, header, body, wanted)
    intensity = fields[chosen["intensity"]] if "intensity" in chosen else None
    columns = PointColumns(fields[chosen["x"]], fields[chosen["y"]], fields[chosen["z"]], intensity)
    return require_finite(path, columns)


def _parse_header(path: Path, content: bytes) -> PcdHeader:
    entries: dict[str, list[str]] = {}
    position = 0
    while "DATA" not in entries:
        end = content.find(b"\n", position, _MAX_HEADER)
        if end < 0:
            raise DatasetError(path, "not a PCD file: no DATA line", expected="a header of PCD 0.7")
        words = content[position:end].decode("ascii", "replace").split("#")[0].split()
        if words:
            entries[words[0].upper()] = words[1:]
        position = end + 1
    try:
        names, sizes, kinds = entries["FIELDS"], entries["SIZE"], entries["TYPE"]
        counts = [int(count) for count in entries.get("COUNT", ["1"] * len(names))]
        formats = [_format(*field) for field in zip(kinds, sizes, counts, strict=True)]
        unique = [f"{name}@{i}" if name in names[:i] else name for i, name in enumerate(names)]
        record = np.dtype(list(zip(unique, formats, strict=True)))
        width, height = int(entries["WIDTH"][0]), int(entries["HEIGHT"][0])
        points = int(entries.get("POINTS", [str(width * height)])[0])
        (encoding,) = entries["DATA"]
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise DatasetError(path, "invalid PCD header", got=f"{type(error).__name__} {error}") from error
    if width < 0 or height < 0 or points != width * height:
        raise DatasetError(path, "POINTS is not WIDTH x HEIGHT", got=points, expected=f"{width} x {height}")
    if encoding.lower() not in _ENCODINGS:
        raise DatasetError(path, "unknown PCD encoding", got=encoding, expected=" or ".join(_ENCODINGS))
    return PcdHeader(record, points, encoding.lower(), position)


def _format(kind: str, size: str, count: int) -> Any:
    if kind not in _TYPES or count < 1:
        raise ValueError(f"TYPE {kind} COUNT {count}")
    dtype = np.dtype(f"<{_TYPES[kind]}{int(size)}")
    return dtype if count == 1 else (dtype, (count,))


def _read_binary(path: Path, header: PcdHeader, body: memoryview) -> npt.NDArray[Any]:
    size = header.num_points * header.record.itemsize
    if len(body) < size:
        raise DatasetError(path, "truncated", got=f"{len(body)} bytes of points", expected=f"{size} bytes")
    return np.frombuffer(body, header.record, header.num_points) if size else np.empty(0, header.record)


def _read_ascii(
    path: Path, header: PcdHeader, body: memoryview, wanted: Collection[str]
) -> Mapping[str, npt.NDArray[Any]]:
    lines = str(body, "ascii", "replace").splitlines()
    try:
        values = np.loadtxt(lines, np.float64, ndmin=2) if header.num_points else np.empty((0, 0))
    except ValueError as error:
        raise DatasetError(path, "invalid ascii points", got=error) from error
    counts = [int(np.prod(header.record[name].shape)) for name in header.record.names or ()]
    if header.num_points and values.shape != (header.num_points, sum(counts)):
        raise DatasetError(
            path,
            "truncated or of another shape",
            got=f"{values.shape[0]} lines of {values.shape[1]} values",
            expected=f"{header.num_points} lines of {sum(counts)} values",
        )
    values = values.reshape(header.num_points, sum(counts))
    starts = np.cumsum([0, *counts[:-1]])
    return {
        name: _cast(path, name, values[:, start], header.record[name].base)
        for name, start in zip(header.record.names or (), starts, strict=True)
        if name in wanted
    }


def _cast(path: Path, name: str, values: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A column as the type its header declares, which for whole numbers has no NaN and has limits."""
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        wrong = values[~((values >= limits.min) & (values <= limits.max))]
        if len(wrong):
            raise DatasetError(
                path, f"value of field {name} does not fit its type", got=f"{wrong[0]:g}", expected=dtype
            )
    with np.errstate(over="ignore"):
        # Beyond float32 is infinite, as a binary file would have it.
        return values.astype(dtype)


def _read_compressed(
    path: Path, header: PcdHeader, body: memoryview, wanted: Collection[str]
) -> Mapping[str, npt.NDArray[Any]]:
    """Columns of points stored field by field."""
    from awml_extractors.datasets.lzf import decompress

    size = header.num_points * header.record.itemsize
    compressed, uncompressed = struct.unpack_from("<II", body) if len(body) >= 8 else (-1, 0)
    if uncompressed != size or len(body) - 8 < compressed or compressed < 0:
        raise DatasetError(
            path,
            "truncated or inconsistent compressed points",
            got=f"{compressed} of {len(body) - 8} bytes, {uncompressed} when decompressed",
            expected=f"{size} bytes when decompressed",
        )
    raw = decompress(body[8 : 8 + compressed], size)
    if raw is None:
        raise DatasetError(path, "corrupt compressed points")
    found: dict[str, npt.NDArray[Any]] = {}
    start = 0
    for name in header.record.names or ():
        dtype = header.record[name]
        end = start + dtype.itemsize * header.num_points
        if name in wanted:
            found[name] = raw[start:end].view(dtype.base)
        start = end
    return found
