"""Metadata properties of an ONNX file, read without onnx: the vehicle has no onnx.

An ONNX file is one protobuf message (onnx.proto, ``ModelProto``): fields one after another, each a
tag and a value. ``metadata_props`` is field 14, a message of ``key`` (1) and ``value`` (2). All other
fields are skipped by their length, so the weights are not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.files import io_errors

_METADATA_PROPS, _GRAPH = 14, 7
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
_MOST_BYTES_OF_AN_ENTRY = 2**20


class _NotProtobufError(Exception):
    """The bytes are not a whole message."""


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata properties of an ONNX file.

    Raises:
        ArtifactError: The file cannot be read, or is truncated or no ONNX file.
    """
    with io_errors(path, "cannot be read"):
        size = path.stat().st_size
        try:
            with path.open("rb") as file:
                return _read(file, size)
        except (_NotProtobufError, UnicodeDecodeError) as error:
            raise ArtifactError(
                path,
                "is truncated or no ONNX file",
                got=error,
                hint="Export the bundle again, or copy it again.",
            ) from None


def _read(file: BinaryIO, size: int) -> dict[str, str]:
    found: dict[str, str] = {}
    has_graph = False
    while file.tell() < size:
        number, kind = divmod(_varint(file), 8)
        if kind == _VARINT:
            _varint(file)
            continue
        length = _varint(file) if kind == _BYTES else _WIDTHS.get(kind)
        if length is None or not number:
            raise _NotProtobufError(f"no field at byte {file.tell()}")
        end = file.tell() + length
        if end > size:
            raise _NotProtobufError(f"{size} bytes, field {number} ends at byte {end}")
        has_graph |= number == _GRAPH
        if number == _METADATA_PROPS and kind == _BYTES:
            if length > _MOST_BYTES_OF_AN_ENTRY:
                raise _NotProtobufError(f"a property of {length} bytes")
            key, value = _entry(file, end)
            found[key] = value
        file.seek(end)
    if not has_graph:
        raise _NotProtobufError("no graph in it")
    return found


def _entry(file: BinaryIO, end: int) -> tuple[str, str]:
    values = {1: "", 2: ""}
    while file.tell() < end:
        number, kind = divmod(_varint(file), 8)
        if kind != _BYTES:
            raise _NotProtobufError(f"no text at byte {file.tell()}")
        length = _varint(file)
        if file.tell() + length > end:
            raise _NotProtobufError(f"a text that ends after its property at byte {end}")
        values[number] = file.read(length).decode()
    return values[1], values[2]


def _varint(file: BinaryIO) -> int:
    """Seven bits a byte, lowest first; the highest bit says that more follow."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise _NotProtobufError("it ends within a number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise _NotProtobufError(f"no number at byte {file.tell()}")
