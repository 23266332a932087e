"""Builds the engines of all components of a bundle."""

from __future__ import annotations

import logging
from collections.abc import Callable

from awml_deploy_core.artifacts import Manifest, ModelBundle
from awml_deploy_core.errors import ConfigError
from awml_deploy_core.export.engine_plan import EnginePlan, EngineSource
from awml_deploy_core.export.exporter import ExportedArtifact
from awml_deploy_core.export.factory import ExporterFactory
from awml_deploy_core.export.tensorrt_exporter import TensorRTExporter, held_lock, refusal
from awml_deploy_core.export.workflow import ExportProgress
from awml_deploy_core.files import sha256_file
from awml_deploy_core.runtime.trt.cache import EngineCache

_LOG = logging.getLogger(__name__)


class TensorRTBuildWorkflow:
    """Works from a bundle's ONNX files alone and leaves its engines and their records in it.

    Args:
        factory: Makes the exporter.
        on_progress: Told when a component starts and when its engine is there.
        target: What the factory calls the exporter.
    """

    def __init__(
        self,
        factory: ExporterFactory,
        *,
        on_progress: Callable[[ExportProgress], None] | None = None,
        target: str = "tensorrt",
    ) -> None:
        self._factory = factory
        self._on_progress = on_progress or (lambda _: None)
        self._target = target

    def plan(self, bundle: ModelBundle) -> tuple[EnginePlan, ...]:
        """What :meth:`run` would do, and why.

        Raises:
            ConfigError, ArtifactError, BackendUnavailableError, MissingDependencyError: As
                ``TensorRTExporter.plan``.
        """
        exporter = self._factory.create(self._target)
        if not isinstance(exporter, TensorRTExporter):
            raise ConfigError(
                "export target",
                "builds no engines",
                got=f"{self._target!r} ({type(exporter).__name__})",
                expected="tensorrt",
            )
        return exporter.plan(_sources(bundle), bundle.folder)

    def run(self, bundle: ModelBundle) -> tuple[ExportedArtifact, ...]:
        """Build or find the engine of every component, in execution order.

        Everything is checked for all components before the first is built.

        Raises:
            ExportError: A component cannot be built; the error names it.
            ArtifactError: Engines are missing or stale and the settings refuse to build, or a file
                cannot be read or written.
            ConfigError, BackendUnavailableError, MissingDependencyError: As :meth:`plan`.
        """
        plans = self.plan(bundle)
        if refused := [plan for plan in plans if plan.action == "refuse"]:
            raise refusal(*refused)
        artifacts = []
        for index, plan in enumerate(plans):
            name = plan.source.spec.name
            self._on_progress(ExportProgress(name, index, len(plans)))
            _LOG.info("%s: %s: %s", name, plan.action, plan.why)
            artifact = self._factory.create(self._target).export(plan.source, bundle.folder)
            self._on_progress(ExportProgress(name, index, len(plans), artifact))
            artifacts.append(artifact)
        _record(bundle)
        return tuple(artifacts)


def _sources(bundle: ModelBundle) -> tuple[EngineSource, ...]:
    return tuple(EngineSource(spec, bundle.onnx_path(spec.name)) for spec in bundle.specs)


def _record(bundle: ModelBundle) -> None:
    """List the engines in the manifest; what no ONNX file of the bundle gives any more is removed."""
    with held_lock(bundle.folder):
        cache = EngineCache(bundle.folder)
        cache.sweep({spec.name: sha256_file(bundle.onnx_path(spec.name)) for spec in bundle.specs})
        if bundle.is_foreign:
            return
        manifest = Manifest.read(bundle.folder)
        engines = tuple(record for record in cache.records() if not cache.damage(record))
        if engines != manifest.engines:
            manifest.model_copy(update={"engines": engines}).write(bundle.folder)
