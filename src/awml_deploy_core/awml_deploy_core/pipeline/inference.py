"""The pipeline object shared by CLI, verification, evaluation, replay and the node."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from typing_extensions import NamedTuple, Self

from awml_deploy_core.errors import ConfigError
from awml_deploy_core.pipeline.latency import StageClock, StageLatencies
from awml_deploy_core.runtime.session import Session, Tensors

InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")


class InferenceResult(NamedTuple, Generic[OutputT]):
    """What one frame gave; returned, never stored on the pipeline."""

    output: OutputT
    latencies: StageLatencies
    counts: Mapping[str, int]
    """Facts of the frame. A pipeline of point clouds uses the names ``points_in``, ``points_used``,
    ``points_truncated`` (in range, beyond their pillar's capacity), ``pillars`` and
    ``pillars_dropped`` (beyond the model's maximum)."""


class TensorTap:
    """Keeps copies of every component's inputs and outputs while one frame runs."""

    def __init__(self) -> None:
        self.inputs: dict[str, dict[str, npt.NDArray[Any]]] = {}
        self.outputs: dict[str, dict[str, npt.NDArray[Any]]] = {}

    def record(self, component: str, inputs: Tensors, outputs: Tensors) -> None:
        self.inputs[component] = {name: np.array(value) for name, value in inputs.items()}
        self.outputs[component] = {name: np.array(value) for name, value in outputs.items()}


class InferencePipeline(ABC, Generic[InputT, OutputT]):
    """Pre-process, run the sessions, post-process.

    Use as a context manager or call :meth:`close`; it owns its sessions. One frame at a time:
    a pipeline may reuse work buffers between calls, so it is not re-entrant.
    """

    @property
    @abstractmethod
    def sessions(self) -> tuple[Session, ...]:
        """Sessions in execution order."""

    @abstractmethod
    def _infer(
        self, sample: InputT, clock: StageClock, tap: TensorTap | None
    ) -> tuple[OutputT, Mapping[str, int]]:
        """Run one frame; call :meth:`_run_session` for every component."""

    @abstractmethod
    def with_options(self, options: Mapping[str, Any]) -> Self:
        """The same pipeline (same sessions) with other run-time options, validated as a whole.

        Raises:
            ParameterError: Any option is unknown or invalid; all problems are listed.
        """

    def option_values(self) -> dict[str, Any]:
        """Run-time options in force, by the names that :meth:`with_options` takes."""
        return {}

    def warm_up(self) -> None:
        """Do what would make the first frame slower than the others."""

    def infer(self, sample: InputT) -> InferenceResult[OutputT]:
        """Run one frame.

        Raises:
            AwmlDeployError: The sample is malformed, or a session failed.
        """
        clock = StageClock()
        output, counts = self._infer(sample, clock, None)
        return InferenceResult(output, clock.result(), counts)

    def trace(self, sample: InputT) -> tuple[InferenceResult[OutputT], TensorTap]:
        """Run one frame and keep every component's tensors; raises as :meth:`infer`."""
        clock, tap = StageClock(), TensorTap()
        output, counts = self._infer(sample, clock, tap)
        return InferenceResult(output, clock.result(), counts), tap

    def close(self) -> None:
        """Release the sessions. Calling it twice is allowed."""
        for session in self.sessions:
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _run_session(session: Session, inputs: Tensors, tap: TensorTap | None) -> Tensors:
        outputs = session.run(inputs)
        if tap is not None:
            tap.record(session.spec.name, inputs, outputs)
        return outputs


def require_sessions(subject: str, sessions: Mapping[str, Session], *names: str) -> tuple[Session, ...]:
    """The sessions of a pipeline's components, in the order of ``names``.

    Args:
        subject: The pipeline, for the error.
        sessions: By component name.
        names: Components that the pipeline runs.

    Raises:
        ConfigError: Some are missing; all of those are named.
    """
    if missing := [name for name in names if name not in sessions]:
        raise ConfigError(
            subject,
            "sessions are missing",
            got=", ".join(sorted(sessions)) or "none",
            expected=", ".join(missing),
        )
    return tuple(sessions[name] for name in names)
