"""CUDA C++ sources, compiled by NVRTC and kept on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awml_deploy_core.errors import ArtifactError, KernelCompileError, MissingDependencyError
from awml_deploy_core.files import io_errors, write_bytes

INSTALL = "pip install cuda-bindings nvidia-cuda-nvrtc"
CACHE_VARIABLE = "AWML_DEPLOY_CACHE"
"""Environment variable: the folder of this suite's caches."""

DEFAULT_OPTIONS = ("--std=c++17", "--fmad=false")
"""Without fused multiply-add, as the arithmetic of the CPU implementation is the contract."""

_LOG = logging.getLogger(__name__)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
_DIGEST_BYTES = 32
_LOG_LINES = 40


@dataclass(frozen=True)
class KernelSource:
    """A ``.cu`` file with the options it is compiled with, beside :data:`DEFAULT_OPTIONS`.

    What it includes in quotation marks lies beside it or in one of ``folders``; NVRTC has no header of
    CUDA, C or C++, so ``<cuda_fp16.h>`` and ``<cstdint>`` are not found. Kernels are
    ``extern "C" __global__``.
    """

    path: Path
    options: tuple[str, ...] = ()
    """E.g. ``-DCHANNELS=9``, or ``--fmad=true`` in place of the default."""
    folders: tuple[Path, ...] = ()
    """Of headers that several sources share, in the order in which they are searched."""

    def read(self) -> dict[str, bytes]:
        """The source and every file that it includes, directly or not, by name.

        Raises:
            ArtifactError: The source is missing.
        """
        found: dict[str, bytes] = {}
        pending = [self.path.name]
        while pending:
            name = pending.pop()
            places = [folder / name for folder in (self.path.parent, *self.folders)]
            file = next((place for place in places if place.is_file()), places[0])
            # A header that is not there may belong to an inactive branch; if not, the compiler names it.
            if name in found or (name != self.path.name and not file.is_file()):
                continue
            with io_errors(file, "cannot be read"):
                found[name] = file.read_bytes()
            pending += _INCLUDE.findall(found[name].decode(errors="replace"))
        return found


def compile_kernels(source: KernelSource, arch: str, *, cache: Path | None = None) -> bytes:
    """The source's code (cubin) for an architecture, from the cache where that has it.

    The key of the cache has the content of source and headers, the options, NVRTC's version and
    the architecture; an entry that is damaged is compiled again. A cache that cannot be written costs
    the time to compile and nothing else.

    Args:
        source: What to compile.
        arch: E.g. ``sm_90``.
        cache: Folder of the cache; :func:`cache_folder` if None.

    Raises:
        ArtifactError: The source is missing.
        MissingDependencyError: NVRTC is not installed.
        KernelCompileError: The source does not compile; its log is listed.
    """
    headers = source.read()
    text = headers.pop(source.path.name)
    chosen = {option.partition("=")[0] for option in source.options}
    defaults = [option for option in DEFAULT_OPTIONS if option.partition("=")[0] not in chosen]
    options = (*defaults, *source.options, f"--gpu-architecture={arch}")
    nvrtc = _Nvrtc(source.path)
    key = _key(source.path.name, text, headers, options, nvrtc.version)
    entry = (cache or cache_folder() / "kernels") / f"{source.path.stem}-{arch}-{key}.cubin"
    if (code := _load(entry)) is not None:
        return code
    code = nvrtc.compile(text, headers, options)
    try:
        with io_errors(entry.parent, "cannot be created"):
            entry.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(entry, hashlib.sha256(code).digest() + code)
    except ArtifactError as error:
        _LOG.warning("kernels are compiled at every start: %s", error)
    return code


def cache_folder() -> Path:
    """``$AWML_DEPLOY_CACHE``, else ``awml_deploy`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "awml_deploy"


def _key(
    name: str, text: bytes, headers: dict[str, bytes], options: tuple[str, ...], version: tuple[int, int]
) -> str:
    content = {
        "name": name,
        "source": hashlib.sha256(text).hexdigest(),
        "headers": {header: hashlib.sha256(body).hexdigest() for header, body in headers.items()},
        "options": options,
        "nvrtc": version,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _load(entry: Path) -> bytes | None:
    try:
        content = entry.read_bytes()
    except OSError:
        return None
    digest, code = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return code if hashlib.sha256(code).digest() == digest else None


class _Nvrtc:
    """NVRTC for one source."""

    def __init__(self, path: Path) -> None:
        try:
            from cuda.bindings import nvrtc

            self._api: Any = nvrtc
            self.version: tuple[int, int] = tuple(self._call("nvrtcVersion"))
        except (ImportError, OSError, RuntimeError) as error:
            # The bindings raise a RuntimeError where the library is not found.
            raise MissingDependencyError(
                "NVRTC", "cannot be used", got=error, hint=f"{INSTALL}, or CUDA's toolkit."
            ) from error
        self._path = path

    def compile(self, text: bytes, headers: dict[str, bytes], options: tuple[str, ...]) -> bytes:
        names = [name.encode() for name in headers]
        (program,) = self._call(
            "nvrtcCreateProgram", text, self._path.name.encode(), len(names), list(headers.values()), names
        )
        try:
            flags = [option.encode() for option in options]
            (code,) = self._api.nvrtcCompileProgram(program, len(flags), flags)
            if int(code):
                raise KernelCompileError(
                    self._path,
                    "does not compile",
                    got=f"{getattr(code, 'name', code)} with {' '.join(options)}",
                    problems=self._log(program)[:_LOG_LINES],
                )
            (size,) = self._call("nvrtcGetCUBINSize", program)
            binary = bytearray(size)
            self._call("nvrtcGetCUBIN", program, binary)
        finally:
            self._api.nvrtcDestroyProgram(program)
        return bytes(binary)

    def _log(self, program: Any) -> list[str]:
        (size,) = self._call("nvrtcGetProgramLogSize", program)
        text = bytearray(size)
        self._call("nvrtcGetProgramLog", program, text)
        return [line for line in text.rstrip(b"\0").decode(errors="replace").splitlines() if line.strip()]

    def _call(self, function: str, *arguments: Any) -> list[Any]:
        code: Any
        result: list[Any]
        code, *result = getattr(self._api, function)(*arguments)
        if int(code):
            raise RuntimeError(f"{function} failed: {getattr(code, 'name', code)}")
        return result
