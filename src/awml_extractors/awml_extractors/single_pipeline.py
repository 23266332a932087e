"""Pipelines of models that are one graph with one input and one output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from awml_deploy_core.pipeline import InferencePipeline, TensorTap, require_sessions
from awml_deploy_core.pipeline.inference import InputT, OutputT
from awml_deploy_core.runtime.session import Session
from awml_extractors.axes import least
from awml_extractors.run_options import RunOptions

OptionsT = TypeVar("OptionsT", bound=RunOptions)


class SinglePipeline(InferencePipeline[InputT, OutputT], Generic[InputT, OutputT, OptionsT]):
    """The session and the options of such a pipeline; a subclass runs the frame.

    Args:
        subject: The pipeline, for errors.
        component: Name of the only component.
        sessions: Its session, by that name.
        options: Those in force.

    Raises:
        ConfigError: The session is missing.
    """

    def __init__(
        self, subject: str, component: str, sessions: Mapping[str, Session], options: OptionsT
    ) -> None:
        self._options = options
        (self._session,) = require_sessions(subject, sessions, component)

    @property
    def sessions(self) -> tuple[Session, ...]:
        return (self._session,)

    @property
    def options(self) -> OptionsT:
        """The options in force."""
        return self._options

    def option_values(self) -> dict[str, Any]:
        """Options in force."""
        return self._options.model_dump()

    def with_options(self, options: Mapping[str, Any]) -> Self:
        """This pipeline with some options changed; session and work buffers are shared.

        Raises:
            ParameterError: Any option is unknown or invalid; all problems are listed.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _options=self._options.merged(options))
        return other

    def _batch(self, tensor: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """One sample ``[1, ...]`` alone, or with empty ones after it where the graph has a larger batch."""
        size = least(self._session.spec.inputs[0].shape[0])
        if size == 1:
            return tensor
        return np.concatenate([tensor, np.zeros((size - 1, *tensor.shape[1:]), np.float32)])

    def _run(self, tensor: npt.NDArray[np.float32], tap: TensorTap | None) -> npt.NDArray[np.float32]:
        """The output ``[B, ...]`` of an input."""
        (source,), (result,) = self._session.spec.inputs, self._session.spec.outputs
        output: npt.NDArray[np.float32] = self._run_session(self._session, {source.name: tensor}, tap)[
            result.name
        ]
        return output
