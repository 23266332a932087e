"""The steps of a deployment: export, verify, infer, each from what is on disk."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from awml_deploy_core.artifacts import ArtifactManager, BundleWriter, ModelBundle, Provenance, SourceRecord
from awml_deploy_core.artifacts.manager import ONNXRUNTIME, PYTORCH
from awml_deploy_core.artifacts.references import PRODUCED_BY, reference_path
from awml_deploy_core.config import LoadedConfig
from awml_deploy_core.config.precision_schema import VariantName
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import ConfigError
from awml_deploy_core.export import ExporterFactory, ExportProgress, OnnxExportOptions, OnnxExportWorkflow
from awml_deploy_core.export.engine_plan import EnginePlan
from awml_deploy_core.export.recording import record_reference
from awml_deploy_core.family import GROUP as FAMILIES
from awml_deploy_core.interrupts import interrupts_kept
from awml_deploy_core.packages import plugin_versions
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.progress import Progress, no_progress
from awml_deploy_core.reporting.engines import EngineBuildRecord, SelftestRecord
from awml_deploy_core.reporting.evaluation_result import EvaluationRecord
from awml_deploy_core.reporting.precision_result import PrecisionRecord
from awml_deploy_core.reporting.result import ExportRecord, InferenceRecord
from awml_deploy_core.reporting.verification_result import VerificationRecord
from awml_deploy_core.runner.engines import build_engines, plan_engines
from awml_deploy_core.runner.evaluation import run_evaluation
from awml_deploy_core.runner.inference import run_inference
from awml_deploy_core.runner.pipelines import assemble_pipeline, warn_if_foreign
from awml_deploy_core.runner.precision import run_precision_study
from awml_deploy_core.runner.selftest import Selftest
from awml_deploy_core.runner.verification import run_verification
from awml_deploy_core.runtime.trt.session import NAME as TENSORRT
from awml_deploy_core.verification import Endpoint

_LOG = logging.getLogger(__name__)


class DeploymentRunner:
    """Runs the steps of one configuration.

    Args:
        loaded: The configuration with its family.
        progress: Told how far each step is.
    """

    def __init__(self, loaded: LoadedConfig, progress: Progress = no_progress) -> None:
        self._loaded = loaded
        self._deploy = loaded.deploy
        self._progress = progress
        self._artifacts = ArtifactManager(
            checkpoint=loaded.deploy.checkpoint_path, bundle=loaded.deploy.bundle
        )

    def export(self) -> tuple[ExportRecord, ...]:
        """Load the checkpoint and write the bundle; an earlier bundle stays until the new one is whole.

        Raises:
            CheckpointError, ExportError, ArtifactError, MissingDependencyError: As the steps say.
        """
        family, model_config, deploy = self._loaded.family, self._loaded.model, self._deploy
        checkpoint = self._artifacts.resolve_pytorch_artifact().path
        onnx = deploy.export.onnx
        options = OnnxExportOptions(
            onnx.opset_version, onnx.constant_folding, onnx.simplify, onnx.graph_capture
        )
        workflow = OnnxExportWorkflow(
            ExporterFactory.from_options(onnx=options),
            family.extractor(model_config),
            on_progress=self._export_progress,
            on_component=record_reference,
        )
        with interrupts_kept():
            model = family.load_model(model_config, checkpoint)
        _LOG.info("loaded checkpoint", extra={"checkpoint": str(checkpoint)})
        with BundleWriter(deploy.bundle) as writer:
            family.write_bundle_files(model_config, writer.staging)
            with interrupts_kept():
                exported = workflow.run(model, writer.staging)
            records = tuple(
                ExportRecord(
                    component=artifact.component,
                    file=artifact.path.relative_to(writer.staging).as_posix(),
                    produced_by=artifact.produced_by,
                    seconds=artifact.seconds,
                    size_bytes=artifact.path.stat().st_size,
                    details=artifact.details,
                )
                for artifact in exported
            )
            origin = self._loaded.origin
            writer.commit(
                family=family.name,
                model=family.dump_config(model_config),
                components=family.component_specs(model_config),
                provenance=Provenance.now(
                    checkpoint=checkpoint,
                    deploy_config=origin if origin.is_file() else None,
                    export={artifact.component: dict(artifact.details) for artifact in exported},
                    plugins=plugin_versions(FAMILIES, family.name),
                ),
                produced_by={record.file: record.produced_by for record in records}
                | {reference_path(Path(), record.component).as_posix(): PRODUCED_BY for record in records},
            )
        self._artifacts.register_artifact(ONNXRUNTIME, deploy.bundle)
        _LOG.info("wrote bundle", extra={"bundle": str(deploy.bundle), "components": len(records)})
        return records

    def build(self, *, rebuild: bool = False) -> tuple[EngineBuildRecord, ...]:
        """Build the engines of the bundle from its ONNX files; what is there and fits is kept.

        Args:
            rebuild: Whether to build all the same.

        Raises:
            ConfigError, ExportError, ArtifactError, BackendUnavailableError, MissingDependencyError: As
                ``TensorRTBuildWorkflow.run``.
        """
        settings = self._deploy.export.tensorrt.settings()
        return build_engines(self._open_bundle(), settings, rebuild=rebuild, progress=self._progress)

    def plan_build(self, *, rebuild: bool = False) -> tuple[EnginePlan, ...]:
        """What :meth:`build` would do, and why.

        Raises:
            ConfigError, ArtifactError, BackendUnavailableError, MissingDependencyError: As
                ``TensorRTBuildWorkflow.plan``.
        """
        settings = self._deploy.export.tensorrt.settings()
        return plan_engines(self._open_bundle(), settings, rebuild=rebuild)

    def selftest(self, endpoints: Sequence[Endpoint], *, runs: int) -> SelftestRecord:
        """Run known inputs through the bundle in every endpoint and compare with recorded outputs.

        Raises:
            ArtifactError: There is no usable bundle.
        """
        settings = self._deploy.export.tensorrt.settings()
        test = Selftest(self._open_bundle(), settings, runs=runs, progress=self._progress)
        return test.run(endpoints)

    def verify(self, *, pictures: Path | None = None) -> VerificationRecord:
        """Compare the configured scenarios on the configured samples.

        Args:
            pictures: Folder for pictures of the frames that agree least.

        Raises:
            ArtifactError: There is no usable bundle, or pictures cannot be written.
            DatasetError, BagError: A source of samples is missing or malformed.
        """
        bundle = self._existing_bundle()
        open_endpoint = partial(self._open_endpoint, bundle)
        return run_verification(self._loaded, bundle, open_endpoint, self._progress, pictures=pictures)

    def evaluate(self, *, restart: bool = False, pictures: Path | None = None) -> EvaluationRecord:
        """Measure the configured backends on the configured data sets.

        Args:
            restart: Whether to forget the frames that earlier runs finished.
            pictures: Folder for pictures of the best and worst frames.

        Raises:
            ArtifactError: There is no usable bundle, or results cannot be kept.
            DatasetError, BagError: A data set is missing or malformed.
            EvaluationError: There are no metrics for what the model does.
        """
        bundle = self._open_bundle()
        return run_evaluation(
            self._loaded,
            bundle,
            partial(self._open_endpoint, bundle),
            self._progress,
            restart=restart,
            pictures=pictures,
        )

    def study_precision(
        self, *, choose: VariantName | None = None, write: Path | None = None, restart: bool = False
    ) -> PrecisionRecord:
        """Try the configured precisions on the configured samples.

        Args:
            choose: The precision to take if it keeps the limits; None takes the smallest that does.
            write: Folder of a bundle of the chosen precision; None writes none.
            restart: Whether to forget the frames that earlier runs finished.

        Raises:
            AwmlDeployError: As :func:`~awml_deploy_core.runner.precision.run_precision_study`.
        """
        bundle = self._open_bundle()
        return run_precision_study(
            self._loaded, bundle, self._progress, choose=choose, write=write, restart=restart
        )

    def infer(self, pictures: Path | None = None) -> InferenceRecord:
        """Run the configured backend over the configured source.

        Args:
            pictures: Folder for one picture a frame.

        Raises:
            ConfigError: No source is configured.
            ArtifactError: There is no usable bundle.
            DatasetError, BagError: The source is missing or malformed.
        """
        section, runtime = self._deploy.infer, self._deploy.runtime
        if section.source is None:
            raise ConfigError("infer.source", "is empty", expected="a cloud, a folder of clouds or a bag")
        bundle = self._open_bundle()
        samples = self._loaded.family.open_samples(section.source, section.limit)
        endpoint = Endpoint(runtime.backend, DeviceSpec.parse(runtime.device))
        with self._open_endpoint(bundle, endpoint) as pipeline:
            return run_inference(
                pipeline,
                samples,
                source=section.source,
                endpoint=endpoint,
                min_score=section.min_score,
                pictures=pictures,
                progress=self._progress,
            )

    def _existing_bundle(self) -> ModelBundle:
        bundle = ModelBundle.open(self._artifacts.resolve_onnx_artifact().path)
        warn_if_foreign(bundle)
        return bundle

    def _open_bundle(self) -> ModelBundle:
        bundle = self._existing_bundle()
        self._warn_of_differences(bundle)
        return bundle

    def _open_endpoint(self, bundle: ModelBundle, endpoint: Endpoint) -> InferencePipeline[Any, Any]:
        runtime = self._deploy.runtime
        uses_module = endpoint.backend == PYTORCH
        return assemble_pipeline(
            bundle,
            endpoint.backend,
            endpoint.device,
            runtime.options,
            runtime.num_threads,
            self._artifacts.resolve_pytorch_artifact().path if uses_module else None,
            {TENSORRT: self._tensorrt_options()},
        )

    def _tensorrt_options(self) -> dict[str, Any]:
        """Which engine a session takes; one that was not chosen is the only one of the bundle."""
        section = self._deploy.export.tensorrt
        chosen = {"library": section.library}
        return chosen | (
            {"precision": section.precision} if "precision" in section.model_fields_set else {}
        )

    def _export_progress(self, event: ExportProgress) -> None:
        done = event.index if event.artifact is None else event.index + 1
        self._progress("export", done, event.total)

    def _warn_of_differences(self, bundle: ModelBundle) -> None:
        """Say where the bundle was made from something other than what is configured now."""
        manifest, checkpoint = bundle.manifest, self._deploy.checkpoint_path
        if manifest is None:
            return
        configured = self._loaded.family.dump_config(self._loaded.model)
        exported = bundle.family.dump_config(bundle.config)
        if changed := sorted(
            key for key in configured.keys() | exported.keys() if configured.get(key) != exported.get(key)
        ):
            _LOG.warning(
                "the bundle was exported with other model settings, which are used: export again to apply "
                "the configured ones",
                extra={"keys": ", ".join(changed), "bundle": str(bundle.folder)},
            )
        recorded = manifest.provenance.checkpoint
        if checkpoint and recorded and SourceRecord.of(checkpoint).sha256 != recorded.sha256:
            _LOG.warning(
                "the bundle was exported from another checkpoint than the configured one",
                extra={"exported_from": recorded.name, "configured": str(checkpoint)},
            )
