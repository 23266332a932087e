from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.components import ComponentSpec, TensorSpec
from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.pipeline import InferencePipeline, StageClock, TensorTap
from awml_deploy_core.runtime.session import Session, Tensors


class Doubler:
    spec = ComponentSpec("double", "double.onnx", (TensorSpec("x", (2,)),), (TensorSpec("y", (2,)),))
    backend = "test"
    device: DeviceSpec = CPU

    def __init__(self) -> None:
        self.closed = 0

    def run(self, inputs: Tensors) -> dict[str, Any]:
        return {"y": inputs["x"] * 2}

    def close(self) -> None:
        self.closed += 1


class Pipeline(InferencePipeline[Any, Any]):
    def __init__(self, session: Doubler) -> None:
        self.session = session
        self.buffer = np.zeros(2, np.float32)

    @property
    def sessions(self) -> tuple[Session, ...]:
        return (self.session,)

    def _infer(
        self, sample: Any, clock: StageClock, tap: TensorTap | None
    ) -> tuple[Any, Mapping[str, int]]:
        with clock.stage("decode"):
            self.buffer[:] = sample
        with clock.stage("encode"):
            outputs = self._run_session(self.session, {"x": self.buffer}, tap)
        return float(outputs["y"].sum()), {"points": len(sample)}

    def with_options(self, options: Mapping[str, Any]) -> Pipeline:
        return self


def test_a_frame_returns_output_latencies_and_counts() -> None:
    output, latencies, counts = Pipeline(Doubler()).infer([1, 2])
    assert output == 6
    assert list(latencies.as_dict()) == ["decode", "encode"]
    assert counts == {"points": 2}


def test_frames_do_not_share_a_clock() -> None:
    pipeline = Pipeline(Doubler())
    pipeline.infer([1, 2])
    assert len(pipeline.infer([1, 2]).latencies.stages) == 2


def test_a_trace_survives_the_next_frame() -> None:
    pipeline = Pipeline(Doubler())
    result, tap = pipeline.trace([1, 2])
    pipeline.infer([5, 5])
    assert result.output == 6
    np.testing.assert_array_equal(tap.inputs["double"]["x"], [1, 2])
    np.testing.assert_array_equal(tap.outputs["double"]["y"], [2, 4])


def test_leaving_the_context_closes_the_sessions_even_after_an_error() -> None:
    session = Doubler()
    with pytest.raises(TypeError), Pipeline(session) as pipeline:
        pipeline.infer(None)
    assert session.closed == 1
