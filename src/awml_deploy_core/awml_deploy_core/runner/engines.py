"""The engine build of a deployment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_core.export import ExporterFactory, TensorRTBuildWorkflow, TensorRTExporter
from awml_deploy_core.export.engine_plan import EnginePlan
from awml_deploy_core.export.exporter import ExportedArtifact
from awml_deploy_core.progress import Progress, no_progress
from awml_deploy_core.reporting.engines import EngineBuildRecord
from awml_deploy_core.runtime.trt.settings import EngineSettings

_FULL = 100


def plan_engines(
    bundle: ModelBundle, settings: EngineSettings, *, device_index: int = 0, rebuild: bool = False
) -> tuple[EnginePlan, ...]:
    """What :func:`build_engines` would do, and why.

    Raises:
        ConfigError, ArtifactError, BackendUnavailableError, MissingDependencyError: As
            ``TensorRTBuildWorkflow.plan``.
    """
    make = partial(TensorRTExporter, settings, device_index=device_index, rebuild=rebuild)
    return TensorRTBuildWorkflow(ExporterFactory.from_options(tensorrt=make)).plan(bundle)


def build_engines(
    bundle: ModelBundle,
    settings: EngineSettings,
    *,
    device_index: int = 0,
    rebuild: bool = False,
    progress: Progress = no_progress,
) -> tuple[EngineBuildRecord, ...]:
    """Build the engines of a bundle, or find them there.

    Raises:
        ExportError, ConfigError, ArtifactError, BackendUnavailableError, MissingDependencyError: As
            ``TensorRTBuildWorkflow.run``.
    """
    make = partial(
        TensorRTExporter,
        settings,
        device_index=device_index,
        rebuild=rebuild,
        on_percent=_percent(progress),
    )
    workflow = TensorRTBuildWorkflow(ExporterFactory.from_options(tensorrt=make))
    return tuple(_record(artifact) for artifact in workflow.run(bundle))


def _percent(progress: Progress) -> Callable[[str, int], None]:
    def report(component: str, percent: int) -> None:
        progress(f"build {component} [%]", percent, _FULL)

    return report


def _record(artifact: ExportedArtifact) -> EngineBuildRecord:
    details = artifact.details
    return EngineBuildRecord(
        component=artifact.component,
        file=details["path"],
        produced_by=artifact.produced_by,
        reused=details["reused"],
        seconds=artifact.seconds,
        size_bytes=details["size"],
        details=details,
    )
