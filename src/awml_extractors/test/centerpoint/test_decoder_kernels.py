"""The kernels of decoding and suppression compile for every architecture, which needs no GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
from device_functions import write_source

from awml_deploy_core.runtime.cuda import compile_kernels
from awml_extractors.centerpoint.device.decoder_launches import kernel_sources

pytest.importorskip("cuda.bindings.nvrtc")

ARCHITECTURES = tuple(f"sm_{number}" for number in (75, 80, 86, 87, 89, 90, 100, 120, 121))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_compiles(arch: str, tmp_path: Path) -> None:
    for source in kernel_sources(5, half=False):
        assert compile_kernels(source, arch, cache=tmp_path)[:4] == b"\x7fELF"


def test_compiles_for_float16_and_another_number_of_classes(tmp_path: Path) -> None:
    decode, _ = kernel_sources(10, half=True)
    for source in (decode, write_source(tmp_path)):
        assert compile_kernels(source, "sm_87", cache=tmp_path)[:4] == b"\x7fELF"
