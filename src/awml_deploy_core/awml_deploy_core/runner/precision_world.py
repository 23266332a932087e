"""What a precision study needs of the world: pipelines of other files, kept results, calibration."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_core.config import LoadedConfig
from awml_deploy_core.config.evaluation_schema import DatasetSection
from awml_deploy_core.errors import BackendUnavailableError
from awml_deploy_core.evaluation.backend_run import NoResults, Results
from awml_deploy_core.evaluation.samples import source_fingerprint
from awml_deploy_core.evaluation.store import FrameStore
from awml_deploy_core.family import GROUP as FAMILIES
from awml_deploy_core.family import Sample
from awml_deploy_core.files import sha256_file
from awml_deploy_core.packages import installed_versions, plugin_versions
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.precision.bundle import write_variant
from awml_deploy_core.precision.calibration import Ranges, RecordedInputs, record_inputs, tensor_ranges
from awml_deploy_core.precision.variants import Files
from awml_deploy_core.progress import Progress
from awml_deploy_core.reporting.machine import PACKAGES
from awml_deploy_core.runner.engines import build_engines
from awml_deploy_core.runner.evaluation import results_folder
from awml_deploy_core.runner.pipelines import assemble_pipeline
from awml_deploy_core.runtime import SessionOptions, load_backend, open_sessions
from awml_deploy_core.runtime.trt.session import NAME as TENSORRT
from awml_deploy_core.runtime.trt.settings import Precision, PrecisionPolicy
from awml_deploy_core.verification import Endpoint

if TYPE_CHECKING:
    import onnx

FOLDER = "precision"
"""Of the work folder, for results of finished frames."""


@dataclass(frozen=True, eq=False)
class StudyWorld:
    """Implements :class:`~awml_deploy_core.precision.measuring.Surroundings` for a configuration."""

    loaded: LoadedConfig
    bundle: ModelBundle
    scratch: Path
    """For files that nobody needs afterwards."""
    progress: Progress
    restart: bool

    def open_pipeline(
        self, files: Files, endpoint: Endpoint, precision: Precision
    ) -> InferencePipeline[Any, Any]:
        """The pipeline of the bundle with other ONNX files; engines are built for TensorRT."""
        runtime, bundle = self.loaded.deploy.runtime, self.bundle
        backend = load_backend(endpoint.backend)
        if not (state := backend.availability(endpoint.device)):
            raise BackendUnavailableError(endpoint, state.detail, hint=state.hint or None)
        if endpoint.backend == TENSORRT:
            return self._with_engines(files, endpoint, precision)
        sources = [replace(source, onnx_path=files[source.spec.name]) for source in bundle.sources()]
        options = SessionOptions(num_threads=runtime.num_threads)
        sessions = open_sessions(sources, backend, endpoint.device, options)
        try:
            return bundle.family.create_pipeline(bundle.config, sessions, runtime.options)
        except BaseException:
            for session in sessions.values():
                session.close()
            raise

    def open_results(
        self, what: str, files: Files, endpoint: Endpoint, facts: Mapping[str, Any]
    ) -> AbstractContextManager[Results]:
        """The results in the work folder; nothing is kept of a bundle, which has none."""
        parent = results_folder(self.loaded)
        if parent is None:
            return nullcontext(NoResults())
        deploy = self.loaded.deploy
        key = {
            "what": what,
            **facts,
            "endpoint": str(endpoint),
            "files": {name: sha256_file(path) for name, path in files.items()},
            "model": self.bundle.family.dump_config(self.bundle.config),
            "runtime": {"options": deploy.runtime.options, "num_threads": deploy.runtime.num_threads},
            "export": deploy.export.tensorrt.model_dump(mode="json"),
            "datasets": fingerprints(measured_on(self.loaded)),
            "packages": {**plugin_versions(FAMILIES), **installed_versions(PACKAGES)},
        }
        return FrameStore(parent.with_name(FOLDER), key, restart=self.restart)

    def _with_engines(
        self, files: Files, endpoint: Endpoint, precision: Precision
    ) -> InferencePipeline[Any, Any]:
        names = "".join(sorted(str(path) for path in files.values()))
        folder = self.scratch / f"bundle-{hashlib.sha256(names.encode()).hexdigest()[:16]}"
        if not folder.is_dir():
            write_variant(self.bundle, files, folder, {name: {"precision": precision} for name in files})
        settings = replace(self.loaded.deploy.export.tensorrt.settings(), policy=PrecisionPolicy(precision))
        own = ModelBundle.open(folder)
        build_engines(own, settings, device_index=endpoint.device.index, progress=self.progress)
        runtime = self.loaded.deploy.runtime
        chosen = {TENSORRT: {"library": settings.library, "precision": precision}}
        return assemble_pipeline(
            own, TENSORRT, endpoint.device, runtime.options, runtime.num_threads, None, chosen
        )


@dataclass(eq=False)
class CalibrationSource:
    """Ranges of a model's tensors, from samples that are run when the first is asked for."""

    world: StudyWorld
    originals: Files
    graphs: Mapping[str, onnx.ModelProto]
    endpoint: Endpoint
    samples: Sequence[Sample]
    _ranges: dict[str, Ranges] = field(default_factory=dict)

    @cached_property
    def _inputs(self) -> RecordedInputs:
        with self.world.open_pipeline(self.originals, self.endpoint, "fp32") as pipeline:
            return record_inputs(pipeline, self.samples, self.world.scratch, self.world.progress)

    def __call__(self, component: str) -> Ranges:
        """Ranges of a component's tensors.

        Raises:
            AwmlDeployError: The samples cannot be run, or the graph not be calibrated.
        """
        if component not in self._ranges:
            settings = self.world.loaded.deploy.precision.int8
            inputs = self._inputs.of(component)
            graph = self.graphs[component]
            self._ranges[component] = tensor_ranges(graph, inputs, settings, self.world.scratch)
        return self._ranges[component]


def measured_on(loaded: LoadedConfig) -> tuple[DatasetSection, ...]:
    """The data sets of the evaluation, or without any the samples of the verification."""
    deploy = loaded.deploy
    # What configurations hold is resolved already; validating it again would resolve it twice.
    clouds = tuple(DatasetSection.model_construct(source=source) for source in deploy.verification.samples)
    return deploy.evaluation.datasets or clouds


def fingerprints(datasets: Sequence[DatasetSection]) -> list[dict[str, Any]]:
    """What decides the samples of data sets."""
    return [
        {**dataset.model_dump(mode="json"), "files": source_fingerprint(dataset.source)}
        for dataset in datasets
    ]
