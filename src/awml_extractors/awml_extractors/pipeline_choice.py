"""Where the frame of a model is, outside of its network: on the host or on the GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import ConfigError, MissingDependencyError, ParameterError
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.runtime.cuda.session import DeviceSession
from awml_deploy_core.runtime.session import Session

PipelineChoice = Literal["auto", "device", "host"]
PipelineT = TypeVar("PipelineT", bound=InferencePipeline[Any, Any])

_LOG = logging.getLogger(__name__)


def choose_pipeline(
    chosen: PipelineChoice,
    sessions: tuple[Session, ...],
    host: Callable[[], PipelineT],
    device: Callable[[], PipelineT],
) -> PipelineT:
    """The pipeline of the host or that of the GPU.

    ``auto`` takes that of the GPU where all sessions leave their tensors on one GPU, and that of the host,
    with a warning, where the GPU's cannot take the model or NVRTC is not installed.

    Args:
        chosen: The option ``pipeline``.
        sessions: Of all components.
        host: Opens the pipeline of the host.
        device: Opens that of the GPU.

    Raises:
        AwmlDeployError: As what opens the pipeline.
    """
    if chosen == "host" or (chosen == "auto" and not _on_one_gpu(sessions)):
        return host()
    try:
        return device()
    except (ConfigError, MissingDependencyError, ParameterError) as error:
        if chosen == "device":
            raise
        _LOG.warning("only the sessions run on the GPU, the rest of the frame on the host: %s", error)
        return host()


def check_choice_stays(current: PipelineChoice, changed: PipelineChoice) -> None:
    """Refuse another choice while the model is open.

    Raises:
        ParameterError: It is another one.
    """
    if changed != current:
        raise ParameterError(
            "pipeline",
            "cannot change while the model is open",
            got=changed,
            expected=current,
            hint="Open the model again with the other one.",
        )


def device_of(sessions: tuple[Session, ...]) -> DeviceSpec:
    """The GPU that the sessions are on; the first one where none is on any."""
    return next(
        (session.device for session in sessions if session.device.kind == "cuda"), DeviceSpec("cuda")
    )


def _on_one_gpu(sessions: tuple[Session, ...]) -> bool:
    devices = {session.device for session in sessions}
    return len(devices) == 1 and all(
        session.device.kind == "cuda" and isinstance(session, DeviceSession) for session in sessions
    )
