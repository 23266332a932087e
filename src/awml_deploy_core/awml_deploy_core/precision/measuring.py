"""Measures one variant on one backend, and the latency of all variants side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from awml_deploy_core.config.evaluation_schema import LatencySection
from awml_deploy_core.config.verification import Precision
from awml_deploy_core.errors import EvaluationError
from awml_deploy_core.evaluation.backend_run import NoResults, Results, run_frames
from awml_deploy_core.evaluation.latency import LatencyStatistics, MeasuredFrame, latency_statistics
from awml_deploy_core.evaluation.latency_run import load_spread
from awml_deploy_core.evaluation.results import FrameRun
from awml_deploy_core.evaluation.samples import KeyedSamples
from awml_deploy_core.evaluation.task import TaskFrame, TaskMetric
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.precision.comparison import compare_outputs
from awml_deploy_core.precision.results import Measurement
from awml_deploy_core.precision.variants import Files
from awml_deploy_core.progress import Progress
from awml_deploy_core.verification import Endpoint
from awml_deploy_core.verification.tolerances import Tolerances

Pipeline = InferencePipeline[Any, Any]
_NO_TRUTH = "no sample has ground truth"


class Surroundings(Protocol):
    """What a study is given of the world: pipelines and kept results."""

    def open_pipeline(self, files: Files, endpoint: Endpoint, precision: Precision) -> Pipeline:
        """The pipeline of the model with other ONNX files, as it is deployed.

        Args:
            files: By component.
            endpoint: Where it runs.
            precision: That the files carry.

        Raises:
            BackendUnavailableError, DeviceError: The backend or device is not usable here.
            AwmlDeployError: Anything else is wrong with it.
        """
        ...

    def open_results(
        self, what: str, files: Files, endpoint: Endpoint, facts: Mapping[str, Any]
    ) -> AbstractContextManager[Results]:
        """Where finished results are kept; ``what``, ``files`` and ``facts`` decide them."""
        ...


@dataclass(frozen=True, eq=False)
class Measurer:
    """Measures variants on the same samples."""

    surroundings: Surroundings
    samples: KeyedSamples
    task: TaskMetric[Any, Any] | None
    """None if there are no metrics for what the model does."""
    no_task: str
    """Why there are none."""
    options: Mapping[str, Any]
    """Of the pipeline while accuracy is measured."""
    progress: Progress

    def run(self, pipeline: Pipeline, files: Files, endpoint: Endpoint, title: str) -> FrameRun:
        """Results of every sample at the options of the deployment."""
        return self._frames(pipeline, files, endpoint, "outputs", {}, title)

    def measure(
        self,
        pipeline: Pipeline,
        files: Files,
        endpoint: Endpoint,
        title: str,
        reference: FrameRun | None,
        tolerances: Tolerances,
    ) -> tuple[Measurement, FrameRun]:
        """Agreement and accuracy of a variant.

        Args:
            pipeline: Of the variant.
            files: It was made from.
            endpoint: Where it runs.
            title: For the progress.
            reference: What FP32 gave; None for FP32 itself, which is then its own.
            tolerances: Of the variant's precision.

        Raises:
            ArtifactError: Results cannot be kept.
            ParameterError: The options of the evaluation are not those of the model.
        """
        start = time.monotonic()
        run = self.run(pipeline, files, endpoint, title)
        frames = (reference or run).frames
        pairs = [(frames[i].output, run.frames[i].output) for i in run.frames if i in frames]
        agreement = compare_outputs(pairs, tolerances) if pairs else None
        accuracy, missing = self._accuracy(pipeline, files, endpoint, title, run)
        measured = Measurement(
            endpoint,
            time.monotonic() - start,
            len(run.frames),
            run.failures,
            accuracy,
            missing,
            agreement,
            None if pairs else "no sample could be run",
        )
        return measured, run

    def _accuracy(
        self, pipeline: Pipeline, files: Files, endpoint: Endpoint, title: str, run: FrameRun
    ) -> tuple[Any, str | None]:
        if self.task is None:
            return None, self.no_task
        if not any(frame.truth is not None for frame in run.frames.values()):
            return None, _NO_TRUTH
        if self.options:
            accurate = pipeline.with_options(self.options)
            what = {"options": dict(self.options)}
            run = self._frames(accurate, files, endpoint, "accuracy", what, f"{title} accuracy")
        try:
            return self.task.evaluate([f for f in run.frames.values() if f.truth is not None]), None
        except EvaluationError as error:
            return None, str(error)

    def _frames(
        self,
        pipeline: Pipeline,
        files: Files,
        endpoint: Endpoint,
        what: str,
        facts: Mapping[str, Any],
        title: str,
    ) -> FrameRun:
        if self.task is None:
            return run_frames(pipeline, self.samples, _Unkept(), NoResults(), self.progress, title)
        with self.surroundings.open_results(what, files, endpoint, facts) as results:
            return run_frames(pipeline, self.samples, self.task, results, self.progress, title)


class _Unkept:
    """Frames of a task without metrics, which are not written down."""

    def encode(self, frame: TaskFrame[Any, Any]) -> dict[str, Any]:
        """Nothing."""
        return {}

    def decode(self, sample_id: str, content: Mapping[str, Any]) -> TaskFrame[Any, Any]:
        """Never possible."""
        raise ValueError(f"{sample_id} was not kept")


def latency_side_by_side(
    openers: Mapping[str, Callable[[], Pipeline]],
    samples: KeyedSamples,
    section: LatencySection,
    frames: int,
    progress: Progress,
    title: str,
) -> dict[str, LatencyStatistics]:
    """Run all variants in turn, frame by frame, so that what else the machine does meets all alike.

    Args:
        openers: By variant; all are open at once.
        samples: Held in memory where they are chosen.
        section: Warm-up, number of samples, percentile and longest time.
        frames: Of each variant.
        progress: Told after every frame.
        title: For the progress.

    Raises:
        EvaluationError: There is no sample that could be loaded.
        AwmlDeployError: A pipeline cannot be opened, or failed.
    """
    held = load_spread(samples.samples, section.num_samples)
    measured: dict[str, list[MeasuredFrame]] = {name: [] for name in openers}
    with ExitStack() as stack:
        pipelines = {name: stack.enter_context(opener()) for name, opener in openers.items()}
        for pipeline in pipelines.values():
            pipeline.warm_up()
            for index in range(section.warm_up_frames):
                pipeline.infer(held[index % len(held)].input)
        start = time.monotonic()
        names = list(pipelines)
        for index in range(frames):
            sample = held[index % len(held)]
            # Another one is first in every round: whoever follows finds the sample in the caches.
            for name in _rotated(names, index):
                began = time.perf_counter_ns()
                result = pipelines[name].infer(sample.input)
                took = (time.perf_counter_ns() - began) * 1e-6
                measured[name].append(MeasuredFrame(sample.sample_id, took, result.latencies))
            progress(title, index + 1, frames)
            if time.monotonic() - start > section.max_seconds * len(names):
                break
    seconds = time.monotonic() - start
    return {
        name: latency_statistics(
            found,
            percentile=section.percentile,
            confidence=section.confidence,
            tolerance=section.tolerance,
            warm_up_frames=section.warm_up_frames,
            seconds=seconds,
        )
        for name, found in measured.items()
    }


def _rotated(names: Sequence[str], by: int) -> list[str]:
    place = by % len(names)
    return [*names[place:], *names[:place]]
