"""Builds the engines of all components of a bundle."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from awml_deploy_core.artifacts import Manifest, ModelBundle
from awml_deploy_core.errors import ArtifactError, ConfigError
from awml_deploy_core.export.engine_plan import EnginePlan, EngineSource
from awml_deploy_core.export.exporter import ExportedArtifact
from awml_deploy_core.export.factory import ExporterFactory
from awml_deploy_core.export.tensorrt_exporter import TensorRTExporter, held_lock, refusal
from awml_deploy_core.export.workflow import ExportProgress
from awml_deploy_core.files import sha256_file
from awml_deploy_core.runtime.trt.cache import EngineCache, EngineRecord
from awml_deploy_core.runtime.trt.key import EngineKey

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
        _Books(bundle, [plan.key for plan in plans]).close()
        return tuple(artifacts)


def _sources(bundle: ModelBundle) -> tuple[EngineSource, ...]:
    return tuple(EngineSource(spec, bundle.onnx_path(spec.name)) for spec in bundle.specs)


class _Books:
    """What a build leaves in the bundle: engines that can be told apart, all listed in the manifest."""

    def __init__(self, bundle: ModelBundle, keys: Sequence[EngineKey]) -> None:
        self._bundle = bundle
        self._cache = EngineCache(bundle.folder)
        self._keys = keys

    def close(self) -> None:
        """Remove what no ONNX file of the bundle gives any more and what a session would confuse with
        the engines of this build, and list the rest.

        A bundle where nothing is to be done is not written to: in a vehicle it may be read-only.

        Raises:
            ArtifactError: An engine of this build was removed by another one meanwhile, or a file cannot
                be read or written.
        """
        if self._are_closed():
            return
        with held_lock(self._bundle.folder):
            if lost := self._lost():
                raise ArtifactError(
                    self._cache.folder,
                    "lost engines of this build to another one, which has other settings",
                    problems=[f"{name} was removed" for name in lost],
                    hint="Build again, one after the other.",
                )
            self._cache.sweep(self._hashes())
            self._cache.discard_others(self._keys)
            if not self._bundle.is_foreign:
                self._list()

    def _lost(self) -> list[str]:
        """Engines of this build that are not there any more."""
        there = [record.key for record in self._cache.records()]
        return [key.file_name for key in self._keys if key not in there]

    def _are_closed(self) -> bool:
        if self._lost():
            return False
        if self._cache.dead_files(self._hashes()) or self._cache.others(self._keys):
            return False
        return self._bundle.is_foreign or Manifest.read(self._bundle.folder).engines == self._engines()

    def _list(self) -> None:
        manifest, engines = Manifest.read(self._bundle.folder), self._engines()
        if engines != manifest.engines:
            manifest.model_copy(update={"engines": engines}).write(self._bundle.folder)

    def _engines(self) -> tuple[EngineRecord, ...]:
        return tuple(record for record in self._cache.records() if not self._cache.damage(record))

    def _hashes(self) -> dict[str, str]:
        specs = self._bundle.specs
        return {spec.name: sha256_file(self._bundle.onnx_path(spec.name)) for spec in specs}
