"""Pickles of plain data, read without running what they name."""

from __future__ import annotations

import io
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import DatasetError
from awml_extractors.datasets.records import read_bytes

# Numbers, booleans, text and, for lists of plain data, objects.
_DTYPE_CODES = re.compile(r"(b1|[iu][1248]|f[248]|[US]\d{1,9}|O8?)")

# What damage makes the unpickler say.
_DAMAGE: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)


def read_plain_pickle(path: Path) -> Any:
    """The content of a pickle made of dicts, lists, tuples, sets, text, bytes and numbers.

    Numbers of numpy become Python's, arrays of numpy become :class:`PlainArray`; nothing else that
    the file names is imported or called.

    Raises:
        DatasetError: The file is missing, unreadable, no pickle or damaged, or it names a class or
            function other than those.
    """
    content = read_bytes(path)
    try:
        return _PlainUnpickler(io.BytesIO(content), path).load()
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(
            path, "no pickle, or a damaged one", got=reason, hint="Copy or download it again."
        ) from error


class PlainArray:
    """A numpy array of a pickle; ``numpy.asarray`` gives it."""

    def __init__(self, *shape_and_code: object) -> None:
        self._array: npt.NDArray[Any] = np.zeros(0)

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Dtype, bool, bytes | list[Any]]) -> None:
        _, shape, dtype, fortran, data = state
        self._array = _array(data, dtype, shape, "F" if fortran else "C")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self._array if dtype is None else self._array.astype(dtype)


class _Dtype:
    """Stands in for numpy.dtype, whose state could be made up to misread memory."""

    def __init__(self, code: object, *flags: object) -> None:
        if not isinstance(code, str) or not _DTYPE_CODES.fullmatch(code):
            raise ValueError(f"dtype {code!r}")
        self.value: np.dtype[Any] = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        # Version, byte order, and six values that are the same for every dtype admitted here.
        if state[1] in ("<", ">"):
            self.value = self.value.newbyteorder(state[1])


class _Admitted:
    """A function that a pickle may call, and nothing more: it can neither change nor replace it."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setattr__(self, name: str, value: object) -> None:
        raise pickle.UnpicklingError("the state of a function")

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("the state of a function")


def _array(data: Any, dtype: _Dtype, shape: tuple[int, ...], order: Any = "C") -> npt.NDArray[Any]:
    if dtype.value.hasobject:
        found = np.empty(len(data), object)
        for i, value in enumerate(data):
            found[i] = value
        return found.reshape(shape, order=order)
    flat = np.frombuffer(data, dtype.value) if data else np.zeros(0, dtype.value)
    return flat.reshape(shape, order=order)


def _from_buffer(data: Any, dtype: _Dtype, shape: tuple[int, ...], order: str = "C") -> PlainArray:
    array = PlainArray()
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


def _scalar(dtype: _Dtype, data: bytes = b"") -> Any:
    if dtype.value.hasobject:
        return data
    return np.frombuffer(data, dtype.value, 1)[0].item()


def _bytes(data: str | bytes = b"", encoding: str = "latin1") -> bytes:
    """What pickle calls for bytes, in protocol 2 with text; never with a length to allocate."""
    if isinstance(data, bytes):
        return data
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes encoded as {encoding!r}")
    return data.encode("latin1")


def _no_call(*arguments: object) -> None:
    raise pickle.UnpicklingError("a numpy array of unusual form")


_PLAIN = {
    kind.__name__: kind for kind in (bool, int, float, complex, str, list, tuple, dict, set, frozenset)
}
_NUMPY: dict[str, Callable[..., Any]] = {
    "scalar": _scalar,
    "_reconstruct": PlainArray,
    "_frombuffer": _from_buffer,
}
_FUNCTIONS: dict[tuple[str, str], _Admitted] = {
    ("_codecs", "encode"): _Admitted(_bytes),
    ("numpy", "dtype"): _Admitted(_Dtype),
    # An argument of _reconstruct.
    ("numpy", "ndarray"): _Admitted(_no_call),
    **{
        (f"numpy.{core}.{module}", name): _Admitted(_NUMPY[name])
        for core in ("core", "_core")
        for module, name in (
            ("multiarray", "scalar"),
            ("multiarray", "_reconstruct"),
            ("numeric", "_frombuffer"),
        )
    },
    **{
        (module, name): _Admitted(function)
        for module in ("builtins", "__builtin__")
        for name, function in {**_PLAIN, "bytes": _bytes, "bytearray": _bytes}.items()
    },
}


def _load_bytearray8(unpickler: Any) -> None:
    # Python's would take the length's word for how much memory to clear.
    length = int.from_bytes(unpickler.read(8), "little")
    data = unpickler.read(length)
    if len(data) < length:
        raise EOFError("ends within an array")
    unpickler.append(data)


# Python's own unpickler, for that in C takes memory by the gigabyte where a damaged file has a
# large memo index (mended only in recent releases), and it cannot be told not to.
class _PlainUnpickler(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Callable[..., None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BYTEARRAY8[0]: _load_bytearray8,
    }

    def __init__(self, stream: io.BytesIO, path: Path) -> None:
        super().__init__(stream)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        function = _FUNCTIONS.get((module, name))
        if function is None:
            raise DatasetError(
                self._path,
                "pickle names what is no plain data",
                got=f"{module}.{name}",
                expected="dicts, lists, text and numbers, of Python or numpy",
                hint="Loading it could run any program. Write it again as plain data.",
            )
        return function
