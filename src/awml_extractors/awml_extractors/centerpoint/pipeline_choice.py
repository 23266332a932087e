"""Which pipeline runs a CenterPoint model: that of the host or that of the GPU."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from awml_deploy_core.pipeline import require_sessions
from awml_deploy_core.runtime.session import Session
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.pipeline import CenterPointPipeline
from awml_extractors.centerpoint.pipeline_base import CenterPointPipelineBase
from awml_extractors.centerpoint.specs import BACKBONE_NECK_HEAD, VOXEL_ENCODER
from awml_extractors.pipeline_choice import choose_pipeline


def create_pipeline(
    config: CenterPointConfig, sessions: Mapping[str, Session], options: Mapping[str, Any]
) -> CenterPointPipelineBase:
    """The pipeline that the option ``pipeline`` names; see
    :func:`awml_extractors.pipeline_choice.choose_pipeline`.

    Raises:
        ConfigError: A session is missing, or a pillar has too many points for the GPU.
        ParameterError: An option is unknown or invalid, or the model is too large for the GPU.
        MissingDependencyError, KernelCompileError, BackendUnavailableError: The GPU cannot be used.
        DeviceError: The device has no memory left.
    """

    def device() -> CenterPointPipelineBase:
        from awml_extractors.centerpoint.device.pipeline import DeviceCenterPointPipeline

        return DeviceCenterPointPipeline(config, sessions, options)

    return choose_pipeline(
        config.postprocess.merged(options, config.class_names).pipeline,
        require_sessions("CenterPoint pipeline", sessions, VOXEL_ENCODER, BACKBONE_NECK_HEAD),
        partial(CenterPointPipeline, config, sessions, options),
        device,
    )
