"""What NVRTC makes of a source, before it is made for one GPU."""

from __future__ import annotations

import re
from typing import Any

import pytest

from awml_deploy_core.runtime.cuda import KernelSource
from awml_deploy_core.runtime.cuda.kernels import DEFAULT_OPTIONS

_NAMES = "add|sub|mul|div|mad|fma|rcp|sqrt|rsqrt|ex2|lg2|sin|cos|tanh"
_OPERATION = re.compile(rf"\b(?:{_NAMES})\.[a-z.]*f(?:32|64)\b")


def float_operations(source: KernelSource) -> set[str]:
    """The floating-point instructions of a source, e.g. ``add.rn.f32``."""
    return set(_OPERATION.findall(_ptx_of(source)))


def _ptx_of(source: KernelSource) -> str:
    nvrtc: Any = pytest.importorskip("cuda.bindings.nvrtc")
    headers = source.read()
    main = headers.pop(source.path.name)
    names = [name.encode() for name in headers]
    _, program = nvrtc.nvrtcCreateProgram(main, b"", len(names), list(headers.values()), names)
    options = [option.encode() for option in (*DEFAULT_OPTIONS, "-arch=compute_90", *source.options)]
    (code,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    assert int(code) == 0
    text = bytearray(nvrtc.nvrtcGetPTXSize(program)[1])
    nvrtc.nvrtcGetPTX(program, text)
    nvrtc.nvrtcDestroyProgram(program)
    return text.decode()
