"""Compile a .cu source with g++ and call its kernels on arrays of the host."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.runtime.cuda import DeviceSpan, KernelSource, PinnedBuffer

_HERE = Path(__file__).parent
_KERNEL = re.compile(
    r'extern\s+"C"\s+__global__\s+(?:void\s+)?(?:__launch_bounds__\s*\([^)]*\)\s*)?(?:void\s+)?(\w+)\s*\('
)
_DYNAMIC_SHARED = re.compile(
    r"extern\s+__shared__\s+(?:__align__\s*\(\s*\d+\s*\)\s+)?([\w:\s]+?)\s+(\w+)\s*\[\s*\]\s*;"
)
_OPTIONS = ("-std=c++17", "-O1", "-g", "-fPIC", "-shared", "-ffp-contract=off", "-fno-strict-aliasing")
_WARNINGS = ("-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Wno-unused-function", "-Wno-unused-parameter")
Size = int | tuple[int, ...]


class EmulatedKernels:
    """The ``extern "C" __global__`` functions of one source.

    Args:
        library: The shared library made of it.
        kernels: Their names.
    """

    def __init__(self, library: Path, kernels: Sequence[str]) -> None:
        self._library = ctypes.CDLL(str(library))
        self.kernels = tuple(kernels)

    def launch(
        self,
        kernel: str,
        grid: Size,
        block: Size,
        arguments: Sequence[Any],
        *,
        shared_bytes: int = 0,
        seed: int = 0,
    ) -> None:
        """Run a grid to its end.

        Args:
            kernel: Name in the source.
            grid: Blocks along x, y, z; missing ones are 1. ``block`` likewise, in threads.
            arguments: Arrays and memory of an emulated device (passed as pointers), numpy scalars (by
                value, of the parameter's size), Python integers (by value, or as addresses) and ctypes
                values.
            shared_bytes: Dynamic shared memory.
            seed: Of the order of blocks and threads; 0 is ascending.

        Raises:
            RuntimeError: The kernel does what no GPU would bear, e.g. waits for ever.
            TypeError: An argument does not fit its parameter.
        """
        entry = getattr(self._library, f"emulate_{kernel}")
        entry.restype = ctypes.c_char_p
        size_of = getattr(self._library, f"argument_size_{kernel}")
        size_of.restype = ctypes.c_size_t
        holders = [
            _by_value(value, size_of(ctypes.c_size_t(index)), f"{kernel} argument {index}")
            for index, value in enumerate(arguments)
        ]
        addresses = (ctypes.c_void_p * max(len(holders), 1))(*(ctypes.addressof(h) for h in holders))
        problem = entry(
            (ctypes.c_uint * 3)(*_three(grid)),
            (ctypes.c_uint * 3)(*_three(block)),
            ctypes.c_size_t(shared_bytes),
            ctypes.c_ulonglong(seed),
            addresses,
            ctypes.c_size_t(len(holders)),
        )
        if problem is not None:
            raise RuntimeError(f"{kernel}: {problem.decode()}")


def emulate(source: KernelSource | str) -> EmulatedKernels:
    """Compile a ``.cu`` file, or CUDA C++ text, for the CPU; the test is skipped without g++.

    Libraries are kept in the temporary folder by the hash of everything they are made of. Options that
    only NVRTC knows are left out.
    """
    if isinstance(source, str):
        return _compiled(source, (), ())
    folders = (source.path.parent, *source.folders)
    defines = tuple(option for option in source.options if option.startswith("-D"))
    return _compiled(source.path.read_text(), folders, defines)


@functools.cache
def _compiled(text: str, folders: tuple[Path, ...], defines: tuple[str, ...]) -> EmulatedKernels:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("emulation of CUDA kernels needs g++")
    kernels = _KERNEL.findall(text)
    if not kernels:
        raise ValueError('no extern "C" __global__ function in the source')
    body = _DYNAMIC_SHARED.sub(r"\1* const \2 = static_cast<\1*>(cuda_emulation::dynamic_shared());", text)
    registrations = "\n".join(f"CUDA_EMULATION_KERNEL({name})" for name in kernels)
    unit = f'#include "cuda_emulation.hpp"\n#line 1 "source.cu"\n{body}\n{registrations}\n'
    command = [compiler, *_OPTIONS, *_WARNINGS, *defines, f"-I{_HERE}"]
    command += [f"-I{folder}" for folder in folders]
    headers = [sorted(_HERE.glob("*.hpp")), *(sorted(folder.glob("*.cuh")) for folder in folders)]
    included = b"".join(path.read_bytes() for path in chain(*headers))
    digest = hashlib.sha256(repr((command, unit)).encode() + included).hexdigest()[:24]
    cache = Path(tempfile.gettempdir()) / f"awml_cuda_emulation_{os.getuid()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    library = cache / f"{digest}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            path = Path(scratch, "unit.cpp")
            path.write_text(unit)
            made = subprocess.run(
                [*command, str(path), "-o", f"{scratch}/unit.so"],
                capture_output=True,
                text=True,
                check=False,
            )
            if made.returncode != 0:
                raise RuntimeError(f"g++ refuses the source:\n{made.stderr}")
            Path(scratch, "unit.so").replace(library)
    return EmulatedKernels(library, kernels)


def _three(size: Size) -> tuple[int, ...]:
    sizes = (size,) if isinstance(size, int) else tuple(size)
    return (*sizes, 1, 1)[:3]


def _by_value(value: Any, size: int, subject: str) -> Any:
    if isinstance(value, np.ndarray):
        holder: Any = ctypes.c_void_p(value.ctypes.data)
    elif isinstance(value, (DeviceSpan, PinnedBuffer)):
        holder = ctypes.c_uint64(value.address)
    elif isinstance(value, np.generic):
        holder = (ctypes.c_char * value.nbytes).from_buffer_copy(value.tobytes())
    elif isinstance(value, int):
        signed = {1: ctypes.c_int8, 2: ctypes.c_int16, 4: ctypes.c_int32, 8: ctypes.c_int64}
        if size not in signed:
            raise TypeError(f"{subject}: an integer for a parameter of {size} bytes")
        holder = signed[size](value)
    else:
        holder = value
    if ctypes.sizeof(holder) != size:
        raise TypeError(f"{subject}: {ctypes.sizeof(holder)} bytes for a parameter of {size}")
    return holder
