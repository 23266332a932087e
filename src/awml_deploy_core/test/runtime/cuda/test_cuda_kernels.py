"""Compilation by NVRTC, which needs no GPU, and its cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from awml_deploy_core.errors import ArtifactError, KernelCompileError
from awml_deploy_core.runtime.cuda.kernels import (
    CACHE_VARIABLE,
    KernelSource,
    cache_folder,
    compile_kernels,
)
from awml_deploy_core.runtime.cuda.switch import SOURCE as CHOICE

pytest.importorskip("cuda.bindings.nvrtc")

ARCHITECTURES = tuple(f"sm_{number}" for number in (75, 80, 86, 87, 89, 90, 100, 120, 121))
SOURCE = """
#include "size.cuh"
extern "C" __global__ void twice(float* values) { if (threadIdx.x < SIZE) values[threadIdx.x] *= FACTOR; }
"""


@pytest.fixture
def source(tmp_path: Path) -> KernelSource:
    (tmp_path / "twice.cu").write_text(SOURCE)
    (tmp_path / "size.cuh").write_text("#define SIZE 8\n")
    return KernelSource(tmp_path / "twice.cu", ("-DFACTOR=2.0f",))


def entries(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


def test_code_is_kept_by_source_headers_options_and_architecture(
    source: KernelSource, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    code = compile_kernels(source, "sm_90", cache=cache)
    assert code[:4] == b"\x7fELF"
    assert compile_kernels(source, "sm_90", cache=cache) == code
    assert len(entries(cache)) == 1
    compile_kernels(source, "sm_80", cache=cache)
    compile_kernels(KernelSource(source.path, ("-DFACTOR=3.0f",)), "sm_90", cache=cache)
    (source.path.parent / "size.cuh").write_text("#define SIZE 16\n")
    compile_kernels(source, "sm_90", cache=cache)
    assert len(entries(cache)) == 4


def test_headers_of_other_folders_are_found_after_those_beside_the_source(
    source: KernelSource, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "size.cuh").write_text("#error the header beside the source comes first\n")
    (shared / "factor.cuh").write_text('#include "offset.cuh"\n#define FACTOR 2.0f\n')
    (shared / "offset.cuh").write_text("#define OFFSET 1\n")
    source.path.write_text(f'#include "factor.cuh"\n{SOURCE}')
    wide = KernelSource(source.path, folders=(shared,))
    assert set(wide.read()) == {"twice.cu", "size.cuh", "factor.cuh", "offset.cuh"}
    cache = tmp_path / "cache"
    assert compile_kernels(wide, "sm_90", cache=cache)
    (shared / "offset.cuh").write_text("#define OFFSET 2\n")
    compile_kernels(wide, "sm_90", cache=cache)
    assert len(entries(cache)) == 2
    with pytest.raises(KernelCompileError):
        compile_kernels(KernelSource(source.path), "sm_90", cache=cache)


def test_a_damaged_entry_is_compiled_again(source: KernelSource, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    code = compile_kernels(source, "sm_90", cache=cache)
    (entry,) = cache.iterdir()
    entry.write_bytes(entry.read_bytes()[:-7])
    assert compile_kernels(source, "sm_90", cache=cache) == code
    assert entry.read_bytes()[32:] == code


def test_a_cache_that_cannot_be_written_is_only_slower(
    source: KernelSource, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    assert compile_kernels(source, "sm_90", cache=tmp_path / "file")
    assert "compiled at every start" in caplog.text


def test_what_does_not_compile_says_where(source: KernelSource, tmp_path: Path) -> None:
    with pytest.raises(KernelCompileError, match=r'twice\.cu\(3\).*"FACTOR" is undefined'):
        compile_kernels(KernelSource(source.path), "sm_90", cache=tmp_path / "cache")
    with pytest.raises(ArtifactError, match=r"gone\.cu: cannot be read"):
        compile_kernels(KernelSource(tmp_path / "gone.cu"), "sm_90", cache=tmp_path / "cache")


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "awml_deploy"
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_choice_of_a_branch_compiles_for_every_architecture(arch: str, tmp_path: Path) -> None:
    assert compile_kernels(CHOICE, arch, cache=tmp_path)
