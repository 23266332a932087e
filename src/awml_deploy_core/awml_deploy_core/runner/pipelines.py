"""Opens the pipeline of a bundle: what the node, the command line and verification all run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.runtime.registry import open_sessions
from awml_deploy_core.runtime.session import SessionOptions

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)


def open_pipeline(
    source: ModelBundle | Path | str,
    backend: str,
    device: DeviceSpec | str,
    options: Mapping[str, Any] | None = None,
    num_threads: int = 0,
    checkpoint: Path | str | None = None,
    backend_options: Mapping[str, Mapping[str, Any]] | None = None,
) -> InferencePipeline[Any, Any]:
    """Open the pipeline of a bundle, ours or a foreign one.

    Neither torch nor onnx is imported unless the backend needs them.

    Args:
        source: The bundle or its folder. Opening a folder reads every file of it, to compare it with
            the manifest.
        backend: Entry-point name of the backend.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        options: Run-time options of the family; the bundle's own are the defaults.
        num_threads: CPU threads of one operator; 0 leaves the choice to the backend.
        checkpoint: The trained weights, for backends that run the module itself.
        backend_options: Options of single backends by their name, as ``SessionOptions.extra``.

    Raises:
        ArtifactError: The bundle is missing, corrupt or lacks what the backend needs.
        ConfigError: The backend or the bundle's family is not installed.
        BackendUnavailableError, DeviceError: The backend or the device is not usable here.
        CheckpointError: The checkpoint does not belong to the bundle's model.
        ParameterError: Any option is unknown or invalid.
    """
    bundle = source if isinstance(source, ModelBundle) else ModelBundle.open(Path(source))
    warn_if_foreign(bundle)
    return assemble_pipeline(bundle, backend, device, options, num_threads, checkpoint, backend_options)


def assemble_pipeline(
    bundle: ModelBundle,
    backend: str,
    device: DeviceSpec | str,
    options: Mapping[str, Any] | None = None,
    num_threads: int = 0,
    checkpoint: Path | str | None = None,
    backend_options: Mapping[str, Mapping[str, Any]] | None = None,
) -> InferencePipeline[Any, Any]:
    """Like :func:`open_pipeline` for a bundle that its caller opened and, if need be, warned of."""
    start = time.monotonic()
    spec = device if isinstance(device, DeviceSpec) else DeviceSpec.parse(device)
    modules = _module_loaders(bundle, Path(checkpoint)) if checkpoint is not None else None
    session_options = SessionOptions(num_threads=num_threads, extra=backend_options or {})
    sessions = open_sessions(bundle.sources(modules), backend, spec, session_options)
    try:
        pipeline = bundle.family.create_pipeline(bundle.config, sessions, options or {})
    except BaseException:
        for session in sessions.values():
            session.close()
        raise
    _LOG.info(
        "opened pipeline",
        extra={
            "bundle": str(bundle.folder),
            "family": bundle.family.name,
            "backend": backend,
            "device": str(spec),
            "seconds": time.monotonic() - start,
        },
    )
    return pipeline


def warn_if_foreign(bundle: ModelBundle) -> None:
    """Say that nothing vouches for the files of a bundle without a manifest."""
    if bundle.is_foreign:
        _LOG.warning(
            "foreign bundle: it has no manifest, so nothing vouches for its files",
            extra={"bundle": str(bundle.folder)},
        )


def _module_loaders(bundle: ModelBundle, checkpoint: Path) -> Mapping[str, Callable[[], torch.nn.Module]]:
    """Loaders of every component's module; the checkpoint is read once, when the first is called."""
    family, config = bundle.family, bundle.config

    @cache
    def modules() -> dict[str, torch.nn.Module]:
        components = family.extractor(config).extract(family.load_model(config, checkpoint))
        return {component.spec.name: component.module for component in components}

    def module(name: str) -> torch.nn.Module:
        return modules()[name]

    return {spec.name: partial(module, spec.name) for spec in bundle.specs}
