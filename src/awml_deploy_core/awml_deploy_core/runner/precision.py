"""Studies the precisions of a deployment's bundle and writes the chosen one."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_core.artifacts.manager import PYTORCH
from awml_deploy_core.config import LoadedConfig
from awml_deploy_core.config.precision_schema import VariantName
from awml_deploy_core.errors import ArtifactError, AwmlDeployError, BackendUnavailableError, EvaluationError
from awml_deploy_core.evaluation.results import EvaluatedBackend
from awml_deploy_core.evaluation.task import TaskMetric
from awml_deploy_core.evaluation.tasks import task_metric
from awml_deploy_core.export.engine_plan import load_graph
from awml_deploy_core.export.precision import carried_precision
from awml_deploy_core.precision.budget import Budget
from awml_deploy_core.precision.bundle import write_variant
from awml_deploy_core.precision.measuring import Measurer
from awml_deploy_core.precision.study import PrecisionStudy
from awml_deploy_core.precision.trial import Trial, Trials
from awml_deploy_core.precision.variants import VariantMaker
from awml_deploy_core.progress import Progress
from awml_deploy_core.reporting.precision_build import precision_record
from awml_deploy_core.reporting.precision_result import PrecisionRecord
from awml_deploy_core.runner.evaluation import open_datasets
from awml_deploy_core.runner.precision_world import (
    CalibrationSource,
    StudyWorld,
    fingerprints,
    measured_on,
)
from awml_deploy_core.runtime import load_backend
from awml_deploy_core.verification import Endpoint


def run_precision_study(
    loaded: LoadedConfig,
    bundle: ModelBundle,
    progress: Progress,
    *,
    choose: VariantName | None = None,
    write: Path | None = None,
    restart: bool = False,
) -> PrecisionRecord:
    """Study what the configuration says.

    Args:
        loaded: The configuration.
        bundle: In full precision.
        progress: Told how far it is.
        choose: The variant to take if it keeps the limits; None takes the smallest that does.
        write: Where the chosen variant becomes a bundle; None writes none.
        restart: Whether to forget the results of earlier runs.

    Raises:
        ArtifactError: Results or the bundle cannot be written, or the bundle is not in FP32.
        BackendUnavailableError: No configured backend that runs ONNX files is usable here.
        DatasetError, BagError: A source of samples is missing or malformed.
        AwmlDeployError: The model cannot be run in FP32.
    """
    deploy = loaded.deploy
    section, evaluation = deploy.precision, deploy.evaluation
    originals = {spec.name: bundle.onnx_path(spec.name) for spec in bundle.specs}
    graphs = {name: load_graph(path) for name, path in originals.items()}
    if lowered := [name for name, graph in graphs.items() if carried_precision(graph)]:
        raise ArtifactError(
            bundle.folder,
            "was lowered already",
            got=", ".join(lowered),
            hint="Study the bundle that it was made from.",
        )
    datasets = measured_on(loaded)
    calibration = section.calibration or datasets
    samples = open_datasets(bundle, datasets, evaluation.num_samples, evaluation.seed)
    shown = open_datasets(bundle, calibration, section.num_calibration, evaluation.seed)
    few = open_datasets(bundle, calibration, section.num_sensitivity, evaluation.seed)
    judged, others = _split(
        [EvaluatedBackend(Endpoint.from_section(item), item.required) for item in evaluation.backends]
    )
    with tempfile.TemporaryDirectory(prefix="awml-deploy-precision-") as scratch:
        world = StudyWorld(loaded, bundle, Path(scratch), progress, restart)
        ranges = CalibrationSource(world, originals, graphs, judged, shown.samples)
        task, no_task = _task(loaded, bundle)
        facts = {"precision": section.model_dump(mode="json"), "calibration": fingerprints(calibration)}
        trials = Trials(
            section,
            deploy.verification.tolerances,
            originals,
            VariantMaker(graphs, section, ranges, Path(scratch)),
            Measurer(world, samples, task, no_task, evaluation.options, progress),
            judged,
            Budget(section.budget_s),
        )
        result, chosen = PrecisionStudy(
            trials,
            others,
            evaluation.latency,
            few.samples,
            len(shown),
            world.open_results("sensitivity", originals, judged, facts),
            choose,
        ).run()
        if write is not None and chosen is not None and chosen.files is not None:
            write_variant(bundle, chosen.files, write, _details(chosen, facts))
    return precision_record(
        result,
        section,
        [dataset.source for dataset in datasets],
        [dataset.source for dataset in calibration],
        write if chosen is not None else None,
    )


def _split(backends: Sequence[EvaluatedBackend]) -> tuple[Endpoint, list[EvaluatedBackend]]:
    """The first backend that runs ONNX files here, and all others."""
    reasons = []
    for backend in backends:
        endpoint = backend.endpoint
        if endpoint.backend == PYTORCH:
            reasons.append(f"{endpoint}: runs the trained module, not ONNX files")
            continue
        try:
            state = load_backend(endpoint.backend).availability(endpoint.device)
        except AwmlDeployError as error:
            reasons.append(f"{endpoint}: {error}")
            continue
        if state:
            return endpoint, [other for other in backends if other is not backend]
        reasons.append(f"{endpoint}: {state.detail}")
    raise BackendUnavailableError(
        "precision study",
        "no configured backend can run ONNX files here",
        problems=reasons,
        hint="Name one in evaluation.backends or with --backend, e.g. onnxruntime:cpu.",
    )


def _task(loaded: LoadedConfig, bundle: ModelBundle) -> tuple[TaskMetric[Any, Any] | None, str]:
    try:
        return task_metric(bundle.family, loaded.deploy.evaluation), ""
    except EvaluationError as error:
        return None, str(error)


def _details(chosen: Trial, facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the manifest says of every component of the written bundle."""
    assert chosen.files is not None
    return {
        name: {
            "precision": carried_precision(load_graph(path)) or "fp32",
            "precision_study": {
                "variant": chosen.name,
                "fp32_groups": [group.name for group in chosen.fp32_groups if group.component == name],
                **facts,
            },
        }
        for name, path in chosen.files.items()
    }
