"""Which pipeline runs a YOLOX model: that of the host or that of the GPU."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from awml_deploy_core.pipeline import require_sessions
from awml_deploy_core.runtime.session import Session
from awml_extractors.pipeline_choice import choose_pipeline
from awml_extractors.yolox.config import YoloxConfig
from awml_extractors.yolox.pipeline import YoloxPipeline
from awml_extractors.yolox.pipeline_base import YoloxPipelineBase
from awml_extractors.yolox.specs import DETECTOR


def create_pipeline(
    config: YoloxConfig, sessions: Mapping[str, Session], options: Mapping[str, Any]
) -> YoloxPipelineBase:
    """The pipeline that the option ``pipeline`` names; see
    :func:`awml_extractors.pipeline_choice.choose_pipeline`.

    Raises:
        ConfigError: The session is missing.
        ParameterError: An option is unknown or invalid, or the model is too large for the GPU.
        MissingDependencyError, KernelCompileError, BackendUnavailableError: The GPU cannot be used.
        DeviceError: The device has no memory left.
    """

    def device() -> YoloxPipelineBase:
        from awml_extractors.yolox.device.pipeline import DeviceYoloxPipeline

        return DeviceYoloxPipeline(config, sessions, options)

    return choose_pipeline(
        config.options.merged(options).pipeline,
        require_sessions("YOLOX pipeline", sessions, DETECTOR),
        partial(YoloxPipeline, config, sessions, options),
        device,
    )
