"""Exports all components of a model."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from awml_deploy_core.components import ExportableComponent, ModelComponentExtractor
from awml_deploy_core.errors import ExportError
from awml_deploy_core.export.exporter import ExportedArtifact
from awml_deploy_core.export.factory import ExporterFactory

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportProgress:
    """One component starts (``artifact`` is None) or is written."""

    component: str
    index: int
    """Of the component, from 0."""
    total: int
    artifact: ExportedArtifact | None = None


class OnnxExportWorkflow:
    """Asks the extractor for components and hands each to an exporter the factory makes.

    Args:
        factory: Makes the exporters.
        extractor: Makes the components.
        target: What the factory calls the exporter.
        on_progress: Told when a component starts and when it is written.
        on_component: Given each component after its export, and the folder.
    """

    def __init__(
        self,
        factory: ExporterFactory,
        extractor: ModelComponentExtractor,
        *,
        target: str = "onnx",
        on_progress: Callable[[ExportProgress], None] | None = None,
        on_component: Callable[[ExportableComponent, Path], object] = lambda component, folder: None,
    ) -> None:
        self._on_component = on_component
        self._factory = factory
        self._extractor = extractor
        self._target = target
        self._on_progress = on_progress or (lambda _: None)

    def run(self, model: torch.nn.Module, folder: Path) -> tuple[ExportedArtifact, ...]:
        """Export every component of ``model`` into ``folder``, in execution order.

        Raises:
            ExportError: There is nothing to export, two components collide, or one fails.
            ConfigError: The factory has no exporter for the target.
            ArtifactError, MissingDependencyError: As ``Exporter.export``.
        """
        components = self._extractor.extract(model)
        _check_distinct(components)
        artifacts = []
        for index, component in enumerate(components):
            name = component.spec.name
            self._on_progress(ExportProgress(name, index, len(components)))
            artifact = self._factory.create(self._target).export(component, folder)
            _LOG.info("%s: %s in %.1f s", artifact.path.name, artifact.produced_by, artifact.seconds)
            self._on_component(component, folder)
            self._on_progress(ExportProgress(name, index, len(components), artifact))
            artifacts.append(artifact)
        return tuple(artifacts)


def _check_distinct(components: Sequence[ExportableComponent]) -> None:
    if not components:
        raise ExportError("model", "its extractor gave no component")
    counts = Counter(
        [f"component {c.spec.name}" for c in components] + [f"file {c.spec.onnx_file}" for c in components]
    )
    if repeated := [f"{name} occurs {count} times" for name, count in counts.items() if count > 1]:
        raise ExportError("model", "its components collide", problems=repeated)
