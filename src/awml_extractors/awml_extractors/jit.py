"""How numba kernels are compiled.

Kernels have fixed signatures and are compiled, or loaded from numba's cache, on their first
call: importing the modules stays cheap and no input layout can start a compilation on a vehicle.
No fast-math: results are IEEE float arithmetic in the written order, without fused multiply-add.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numba
from llvmlite import ir  # type: ignore[import-untyped,unused-ignore]
from numba import types
from numba.extending import intrinsic

P = ParamSpec("P")
R = TypeVar("R")

_LOG = logging.getLogger(__name__)
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


def read_only(dtype: Any, ndim: int = 1) -> Any:
    """Type of a C-contiguous array argument that is only read; a writable one is accepted too."""
    return types.Array(dtype, ndim, "C", readonly=True)


def writable(dtype: Any, ndim: int = 1) -> Any:
    """Type of a C-contiguous array argument that the kernel writes."""
    return types.Array(dtype, ndim, "C")


def tuple_of(dtype: Any, count: int) -> Any:
    """Type of a tuple argument of ``count`` numbers."""
    uni_tuple: Any = types.UniTuple
    return uni_tuple(dtype, count)


COLUMN = types.Array(types.float32, 1, "A", readonly=True, aligned=False)
"""A float32 column of any stride and alignment, e.g. a view into the bytes of a message."""


def kernel(*arguments: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function for exactly these argument types when it is first called."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.cache
        def compiled() -> Callable[P, R]:
            dispatcher: Any = _cached(function)
            dispatcher.compile(arguments)
            dispatcher.disable_compile()
            typed: Callable[P, R] = dispatcher
            return typed

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return compiled()(*args, **kwargs)

        return call

    return decorate


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a helper into the kernels that call it."""
    helper: Callable[P, R] = numba.njit(**_OPTIONS)(function)
    return helper


def _prefetch(_typing_context: Any, array: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte_pointer, int32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        offset = builder.mul(arguments[1], builder.extract_value(view.strides, 0))
        address = builder.gep(builder.bitcast(view.data, byte_pointer), [offset])
        kind = ir.FunctionType(ir.VoidType(), [byte_pointer, int32, int32, int32])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte_pointer], kind)
        for_write, keep_in_all_caches, data = int32(1), int32(3), int32(1)
        builder.call(function, [address, for_write, keep_in_all_caches, data])
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate


prefetch: Any = intrinsic(_prefetch)
"""Inside a kernel: ask for the cache line of ``array[index]`` ahead of its use."""


def _cached(function: Callable[P, R]) -> Any:
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError as error:
        _LOG.warning("%s: %s; compiling without a cache, set NUMBA_CACHE_DIR", function.__name__, error)
        return numba.njit(**_OPTIONS)(function)
