"""Every kernel compiles for every GPU, without any operation that the arithmetic does not name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_frames import CHANNELS
from ptx import float_operations

from awml_deploy_core.runtime.cuda import KernelSource, compile_kernels
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device.constants import FrameSizes, frame_source, scatter_source
from awml_extractors.yolox.config import parse_config as parse_yolox
from awml_extractors.yolox.device import decoder as yolox_decoder

DTYPES = {"float32": np.dtype(np.float32), "float16": np.dtype(np.float16)}


def architectures() -> tuple[str, ...]:
    """What the installed NVRTC compiles for; nothing without one."""
    try:
        from cuda.bindings import nvrtc

        _, numbers = nvrtc.nvrtcGetSupportedArchs()
    except (ImportError, OSError, RuntimeError):
        return ()
    return tuple(f"sm_{number}" for number in numbers)


def sources(channels: int, dtype: str) -> tuple[KernelSource, ...]:
    config = CenterPointConfig.model_validate(CHANNELS[channels])
    sizes = FrameSizes.of(config, 2_000_000, 16, None, config.max_voxels)
    return (
        *(frame_source(name, config, sizes, DTYPES[dtype]) for name in ("voxelize.cu", "decorate.cu")),
        scatter_source(config, DTYPES[dtype]),
    )


def yolox_sources(**changes: Any) -> tuple[KernelSource, ...]:
    return yolox_decoder.kernel_sources(parse_yolox(changes), yolox_decoder.MAX_BOXES)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not architectures():
        pytest.skip("compiling for a GPU needs NVRTC")
    return tmp_path_factory.mktemp("kernels")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("arch", architectures() or ("sm_90",))
def test_they_compile_for_every_architecture(cache: Path, arch: str, dtype: str) -> None:
    for source in (*sources(11, dtype), *yolox_sources()):
        assert compile_kernels(source, arch, cache=cache)


@pytest.mark.parametrize("channels", CHANNELS)
def test_they_compile_for_every_model(cache: Path, channels: int) -> None:
    for dtype in DTYPES:
        for source in sources(channels, dtype):
            assert compile_kernels(source, "sm_75", cache=cache)


def test_those_of_yolox_compile_for_any_size_and_number_of_classes(cache: Path) -> None:
    names = [f"class {index}" for index in range(80)]
    for changes in ({"input_size": (416, 640), "class_names": names}, {"class_names": ["any"]}):
        for source in yolox_sources(**changes):
            assert compile_kernels(source, "sm_75", cache=cache)


def test_the_oldest_and_the_latest_architectures_are_among_them(cache: Path) -> None:
    assert {"sm_75", "sm_87", "sm_90", "sm_121"} <= set(architectures())


@pytest.mark.parametrize("channels", CHANNELS)
def test_arithmetic_rounds_every_operation(cache: Path, channels: int) -> None:
    """What is not written as rounded to nearest could be fused; flushing denormals would show as ftz."""
    found = set().union(*map(float_operations, sources(channels, "float16")))
    assert found == {"add.rn.f32", "sub.rn.f32", "mul.rn.f32", "div.rn.f32"}


def test_so_does_that_of_yolox(cache: Path) -> None:
    found = set().union(*map(float_operations, yolox_sources()))
    kinds = {f"{name}.rn.{kind}" for name in ("add", "sub", "mul", "div") for kind in ("f32", "f64")}
    assert {"mul.rn.f32", "mul.rn.f64", "div.rn.f64"} <= found <= kinds
