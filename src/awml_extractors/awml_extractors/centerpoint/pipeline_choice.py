"""Which pipeline runs a model: that of the host or that of the GPU."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from awml_deploy_core.errors import ConfigError, MissingDependencyError, ParameterError
from awml_deploy_core.pipeline import require_sessions
from awml_deploy_core.runtime.cuda.session import DeviceSession
from awml_deploy_core.runtime.session import Session
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.pipeline import CenterPointPipeline
from awml_extractors.centerpoint.pipeline_base import CenterPointPipelineBase
from awml_extractors.centerpoint.specs import BACKBONE_NECK_HEAD, VOXEL_ENCODER

_LOG = logging.getLogger(__name__)


def create_pipeline(
    config: CenterPointConfig, sessions: Mapping[str, Session], options: Mapping[str, Any]
) -> CenterPointPipelineBase:
    """The pipeline that the option ``pipeline`` names.

    ``auto`` takes that of the GPU where both sessions leave their tensors on one GPU, and that of the host,
    with a warning, where the GPU's cannot take the model or NVRTC is not installed.

    Raises:
        ConfigError: A session is missing, or a pillar has too many points for the GPU.
        ParameterError: An option is unknown or invalid, or the model is too large for the GPU.
        MissingDependencyError, KernelCompileError, BackendUnavailableError: The GPU cannot be used.
        DeviceError: The device has no memory left.
    """
    chosen = config.postprocess.merged(options, config.class_names).pipeline
    used = require_sessions("CenterPoint pipeline", sessions, VOXEL_ENCODER, BACKBONE_NECK_HEAD)
    if chosen == "host" or (chosen == "auto" and not _on_one_gpu(used)):
        return CenterPointPipeline(config, sessions, options)
    from awml_extractors.centerpoint.device.pipeline import DeviceCenterPointPipeline

    try:
        return DeviceCenterPointPipeline(config, sessions, options)
    except (ConfigError, MissingDependencyError, ParameterError) as error:
        if chosen == "device":
            raise
        _LOG.warning("only the sessions run on the GPU, the rest of the frame on the host: %s", error)
        return CenterPointPipeline(config, sessions, options)


def _on_one_gpu(sessions: tuple[Session, ...]) -> bool:
    devices = {session.device for session in sessions}
    return len(devices) == 1 and all(
        session.device.kind == "cuda" and isinstance(session, DeviceSession) for session in sessions
    )
