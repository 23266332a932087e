"""Evaluates the configured backends on the configured data sets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_core.artifacts.manager import PYTORCH
from awml_deploy_core.config import LoadedConfig
from awml_deploy_core.config.evaluation_schema import DatasetSection
from awml_deploy_core.errors import BackendUnavailableError
from awml_deploy_core.evaluation.backend_run import NoResults, Results
from awml_deploy_core.evaluation.orchestrator import EvaluationOrchestrator
from awml_deploy_core.evaluation.results import EvaluatedBackend
from awml_deploy_core.evaluation.samples import KeyedSamples, source_fingerprint
from awml_deploy_core.evaluation.store import FrameStore
from awml_deploy_core.evaluation.tasks import task_metric
from awml_deploy_core.family import GROUP as FAMILIES
from awml_deploy_core.files import sha256_file
from awml_deploy_core.packages import installed_versions, plugin_versions
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.progress import Progress
from awml_deploy_core.reporting.evaluation_build import evaluation_record
from awml_deploy_core.reporting.evaluation_result import EvaluationRecord
from awml_deploy_core.reporting.machine import PACKAGES
from awml_deploy_core.runner.evidence_pictures import draw_evidence
from awml_deploy_core.verification import Endpoint
from awml_deploy_core.verification.sampling import source_names

_LOG = logging.getLogger(__name__)

OpenEndpoint = Callable[[Endpoint], InferencePipeline[Any, Any]]


def run_evaluation(
    loaded: LoadedConfig,
    bundle: ModelBundle,
    open_endpoint: OpenEndpoint,
    progress: Progress,
    *,
    restart: bool = False,
    pictures: Path | None = None,
) -> EvaluationRecord:
    """Evaluate what the configuration says.

    Args:
        loaded: The configuration.
        bundle: What is evaluated.
        open_endpoint: Opens the pipeline of a backend.
        progress: Told after every frame.
        restart: Whether to forget the results of earlier runs.
        pictures: Folder for pictures of the best and worst frames.

    Raises:
        ArtifactError: Results or pictures cannot be written.
        DatasetError, BagError: A source of samples is missing or malformed.
        EvaluationError: There are no metrics for the family's task.
    """
    section = loaded.deploy.evaluation
    task = task_metric(bundle.family, section)
    samples = open_datasets(bundle, section.datasets, section.num_samples, section.seed)
    surroundings = _Surroundings(loaded, bundle, open_endpoint, task.name, restart)
    orchestrator = EvaluationOrchestrator(surroundings, task, section, progress)
    backends = [EvaluatedBackend(Endpoint.from_section(item), item.required) for item in section.backends]
    result = orchestrator.run(backends, samples)
    drawn: Mapping[tuple[str, int], str] = {}
    if pictures is not None:
        drawn = draw_evidence(result, samples, pictures, task, section)
    sources = [dataset.source for dataset in section.datasets]
    return evaluation_record(result, task, sources, drawn, len(section.floors))


def open_datasets(
    bundle: ModelBundle, datasets: Sequence[DatasetSection], count: int, seed: int
) -> KeyedSamples:
    """Samples of data sets for the bundle's model.

    Args:
        bundle: Whose family reads them.
        datasets: Where they are.
        count: How many to choose of all; -1 takes them all.
        seed: Of the choice.

    Raises:
        DatasetError, BagError: A source is missing or malformed.
    """
    names = source_names([dataset.source for dataset in datasets])
    opened = [
        bundle.family.open_samples(
            dataset.source,
            dataset.limit,
            config=bundle.config,
            num_past_sweeps=dataset.num_past_sweeps,
            class_mapping=dataset.class_mapping,
        )
        for dataset in datasets
    ]
    return KeyedSamples.choose(list(zip(names, opened, strict=True)), count, seed)


@dataclass(frozen=True, eq=False)
class _Surroundings:
    """Implements :class:`~awml_deploy_core.evaluation.orchestrator.Surroundings` for a configuration."""

    loaded: LoadedConfig
    bundle: ModelBundle
    open_endpoint: OpenEndpoint
    task: str
    restart: bool

    def open_pipeline(self, endpoint: Endpoint) -> InferencePipeline[Any, Any]:
        """The pipeline with the options of ``runtime``."""
        if endpoint.backend == PYTORCH and self.loaded.deploy.checkpoint_path is None:
            raise BackendUnavailableError(endpoint, "needs a checkpoint, and none is configured")
        return self.open_endpoint(endpoint)

    def open_results(self, endpoint: Endpoint) -> AbstractContextManager[Results]:
        """The results in the work folder; nothing is kept of a bundle, which has none."""
        folder = results_folder(self.loaded)
        if folder is None:
            return nullcontext(NoResults())
        return FrameStore(folder, self._key(endpoint), restart=self.restart)

    def artifact_bytes(self, endpoint: Endpoint) -> int:
        """The checkpoint, or the ONNX files with their external data."""
        checkpoint = self.loaded.deploy.checkpoint_path
        if endpoint.backend == PYTORCH and checkpoint is not None:
            return checkpoint.stat().st_size
        files = [self.bundle.onnx_path(spec.name) for spec in self.bundle.specs]
        external = [path.with_name(f"{path.name}.data") for path in files]
        return sum(path.stat().st_size for path in [*files, *external] if path.is_file())

    def _key(self, endpoint: Endpoint) -> dict[str, Any]:
        """Everything that decides the output of a frame."""
        deploy, bundle = self.loaded.deploy, self.bundle
        files = {spec.name: bundle.onnx_path(spec.name) for spec in bundle.specs}
        if endpoint.backend == PYTORCH and deploy.checkpoint_path is not None:
            files["checkpoint"] = deploy.checkpoint_path
        datasets = [
            {
                **dataset.model_dump(mode="json", exclude={"limit"}),
                "files": source_fingerprint(dataset.source),
            }
            for dataset in deploy.evaluation.datasets
        ]
        return {
            "endpoint": str(endpoint),
            "task": self.task,
            "files": {name: sha256_file(path) for name, path in files.items()},
            "model": bundle.family.dump_config(bundle.config),
            "options": {**deploy.runtime.options, **deploy.evaluation.options},
            "num_threads": deploy.runtime.num_threads,
            # Decides the precision of engines.
            "export": deploy.export.model_dump(mode="json"),
            "datasets": datasets,
            "packages": {**plugin_versions(FAMILIES), **installed_versions(PACKAGES)},
        }


def results_folder(loaded: LoadedConfig) -> Path | None:
    """Where results of finished frames are kept; None for a bundle without a work folder of its own."""
    folder = loaded.deploy.work_dir
    if loaded.origin.is_dir() and folder == loaded.origin.resolve().parent:
        return None
    return folder / "evaluation"
