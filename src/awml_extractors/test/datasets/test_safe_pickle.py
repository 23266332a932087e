from __future__ import annotations

import datetime
import os
import pickle
import struct
import tracemalloc
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_deploy_core.errors import DatasetError
from awml_extractors.datasets import safe_pickle
from awml_extractors.datasets.safe_pickle import read_plain_pickle

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


def read(content: bytes, folder: Path) -> Any:
    path = folder / "a.pkl"
    path.write_bytes(content)
    return read_plain_pickle(path)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_data_comes_back(protocol: int, tmp_path: Path) -> None:
    data = {"a": [1, -2.5, None, True, "é"], ("t",): {1, 2}, "b": b"\xff\0", "e": b"", "big": 2**70}
    assert read(pickle.dumps(data, protocol), tmp_path) == data


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">i4").reshape(2, 3).T,
        np.arange(6.0).reshape(2, 3),
        np.zeros((0, 7)),
        np.array([True, False]),
        np.array(["a", "bé"]),
        np.array([1, 2], np.uint8),
        np.float32(1.5),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_of_numpy_come_back(protocol: int, array: np.ndarray, tmp_path: Path) -> None:
    found = np.asarray(read(pickle.dumps(array, protocol), tmp_path))
    np.testing.assert_array_equal(found, array)
    assert found.shape == array.shape


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scalars_of_numpy_become_those_of_python(protocol: int, tmp_path: Path) -> None:
    data = [np.int64(3), np.float64(2.5), np.bool_(True), np.str_("é")]
    found = read(pickle.dumps(data, protocol), tmp_path)
    assert found == [3, 2.5, True, "é"]
    assert [type(value) for value in found] == [int, float, bool, str]


def test_list_of_records_as_an_array(tmp_path: Path) -> None:
    array = np.array([{"x": 1}, [1, 2], None], object)
    assert list(np.asarray(read(pickle.dumps(array), tmp_path))) == [{"x": 1}, [1, 2], None]


class Runs:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Runs(os.system, "touch PWNED"), f"{os.system.__module__}.system"),
        (Runs(eval, "open('PWNED', 'w')"), "builtins.eval|__builtin__.eval"),
        (Runs(getattr, [], "append"), "builtins.getattr|__builtin__.getattr"),
        (Runs(np.load, "PWNED"), "numpy.*load"),
        (datetime.date(2026, 1, 1), "datetime.date"),
        (OrderedDict(), "collections.OrderedDict"),
        (np.random.default_rng, "numpy.random"),
    ],
)
def test_other_classes_and_functions_are_named_and_not_run(
    protocol: int, value: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=f"names what is no plain data; got ({name})"):
        read(pickle.dumps({"data_list": [value]}, protocol), tmp_path)
    assert not (tmp_path / "PWNED").exists()


def test_dotted_name_reaches_nothing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"got builtins\.str\.format"):
        read(b"\x80\x04\x8c\x08builtins\x8c\x0astr.format\x93.", tmp_path)


DTYPE = b"cnumpy\ndtype\n(X\x02\x00\x00\x00%sI00\nI01\ntR"


@pytest.mark.parametrize(
    "content",
    [
        # State for an admitted function: its code, or attributes of the class behind it.
        b"\x80\x02cnumpy\ndtype\n}X\x01\x00\x00\x00aK\x01sb.",
        b"\x80\x02cbuiltins\nset\nN}X\x08\x00\x00\x00__call__K\x01s\x86b.",
        # An array made of objects' addresses, of more than there is, and of a strange kind.
        b"\x80\x02" + DTYPE % b"O8" + b".",
        b"\x80\x02cnumpy.core.multiarray\nscalar\n" + DTYPE % b"f8" + b"C\x01a\x86R.",
        b"\x80\x02cnumpy.core.multiarray\nscalar\n" + DTYPE % b"M8" + b"C\x08aaaaaaaa\x86R.",
        b"\x80\x02cnumpy\nndarray\n)R.",
        # Bytes made from a length.
        b"\x80\x02cbuiltins\nbytes\nJ\xff\xff\xff\x7f\x85R.",
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00bz2\x86R.",
    ],
)
def test_tricks_end_in_plain_data_or_an_error(content: bytes, tmp_path: Path) -> None:
    before = {key: (function, function._function) for key, function in safe_pickle._FUNCTIONS.items()}
    with suppress(DatasetError):
        read(content, tmp_path)
    assert before == {key: (found, found._function) for key, found in safe_pickle._FUNCTIONS.items()}
    assert set(read(pickle.dumps({1, 2}, 2), tmp_path)) == {1, 2}


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr\xff\xff\xff\x7f.",
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"a.",
        b"\x80\x05\x8e" + struct.pack("<Q", 2**40) + b"a.",
        b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N.",
    ],
    ids=["memo index", "bytearray", "bytes", "frame"],
)
def test_lengths_that_lie_take_no_memory(content: bytes, tmp_path: Path) -> None:
    tracemalloc.start()
    with suppress(DatasetError):
        assert read(content, tmp_path) is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize("content", [b"\x80", b".", b"text", b"\x80\x02}", b"\x89PNG\r\n"])
def test_what_is_no_pickle_is_one_error(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"a\.pkl: no pickle, or a damaged one"):
        read(content, tmp_path)
    with pytest.raises(DatasetError, match="file is empty"):
        read(b"", tmp_path)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_plain_pickle(tmp_path / "nowhere.pkl")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_data_or_one_error(tmp_path_factory: pytest.TempPathFactory, tail: bytes) -> None:
    with suppress(DatasetError):
        read(b"\x80\x04" + tail, tmp_path_factory.getbasetemp())
