"""What the builder and the inspector may answer, without a GPU to make them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from awml_deploy_core.errors import ExportError
from awml_deploy_core.export.engine_build import _add_profile, _engine_layers, _set_timings
from awml_deploy_core.runtime.trt.settings import EngineSettings, ShapeRange


class FakeLogger:
    class Severity(Enum):
        INTERNAL_ERROR, ERROR, WARNING = range(3)


class Timings:
    """A timing cache as the builder's configuration makes and takes it."""

    def __init__(self, good: tuple[bytes, ...], made: tuple[bytes, ...]) -> None:
        self.good, self.made = good, made

    def create_timing_cache(self, content: bytes) -> bytes | None:
        return content if content in self.made else None

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        return cache in self.good


@pytest.mark.parametrize(
    ("good", "made", "taken"),
    [
        ((b"old", b""), (b"old", b""), b"old"),
        ((b"",), (b"old", b""), b""),
        ((b"",), (b"",), b""),
        ((), (), None),
    ],
)
def test_timings_of_another_gpu_or_damaged_ones_do_not_stop_a_build(
    good: tuple[bytes, ...], made: tuple[bytes, ...], taken: bytes | None
) -> None:
    config: Any = Timings(good, made)
    assert _set_timings(config, b"old") == taken


@pytest.mark.parametrize("said", ["", "no JSON", "[1]", "null"])
def test_an_engine_whose_layers_cannot_be_read_is_built_all_the_same(said: str) -> None:
    inspector = SimpleNamespace(get_engine_information=lambda form: said)
    engine = SimpleNamespace(create_engine_inspector=lambda: inspector)
    opened = SimpleNamespace(deserialize_cuda_engine=lambda content: engine)
    library: Any = SimpleNamespace(
        api=SimpleNamespace(
            ILogger=FakeLogger,
            LayerInformationFormat=SimpleNamespace(JSON=0),
            Runtime=lambda logger: opened,
        ),
        runtime=lambda messages, host_code: opened,
    )
    assert _engine_layers(library, memoryview(b"engine"), EngineSettings()) is None


def test_a_profile_that_tensorrt_refuses_is_named() -> None:
    def refuse(*arguments: Any) -> None:
        raise ValueError("inconsistent")

    builder: Any = SimpleNamespace(create_optimization_profile=lambda: SimpleNamespace(set_shape=refuse))
    profile = {"x": ShapeRange((1, 3), (2, 3), (4, 3))}
    with pytest.raises(ExportError, match=r"refuses the optimisation profile; got x 1x3 \.\. 2x3"):
        _add_profile(builder, SimpleNamespace(), profile, Path("e.onnx"))  # type: ignore[arg-type]
