"""Runs every sample once on one backend and keeps what is finished."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.evaluation.results import FrameRun
from awml_deploy_core.evaluation.samples import KeyedSamples
from awml_deploy_core.evaluation.task import TaskFrame
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.progress import Progress

_LOG = logging.getLogger(__name__)


class Results(Protocol):
    """Where results of finished frames are kept, e.g. a :class:`~.store.FrameStore`."""

    def get(self, key: str) -> Mapping[str, Any] | None:
        """The result of a sample, if it is finished."""
        ...

    def append(self, key: str, result: Mapping[str, Any]) -> None:
        """Keep a result."""
        ...


class FrameCodec(Protocol):
    """Writes frames down, e.g. a :class:`~.task.TaskMetric`."""

    def encode(self, frame: TaskFrame[Any, Any]) -> dict[str, Any]:
        """A JSON-ready form."""
        ...

    def decode(self, sample_id: str, content: Mapping[str, Any]) -> TaskFrame[Any, Any]:
        """The inverse of :meth:`encode`."""
        ...


class NoResults:
    """Nothing is kept."""

    def get(self, key: str) -> None:
        """Nothing is finished."""

    def append(self, key: str, result: Mapping[str, Any]) -> None:
        """Forget it."""


def run_frames(
    pipeline: InferencePipeline[Any, Any],
    samples: KeyedSamples,
    task: FrameCodec,
    results: Results,
    progress: Progress,
    title: str,
) -> FrameRun:
    """Run every sample that is not finished yet; those that fail are left out and run again next time.

    Args:
        pipeline: With the options that accuracy is measured with.
        samples: Loaded one at a time, by their keys in ``results``. Finished ones are not loaded.
        task: Encodes results.
        results: Of earlier runs, and for this one's.
        progress: Told after every frame.
        title: For the progress.

    Raises:
        ArtifactError: A result cannot be kept.
    """
    frames: dict[int, TaskFrame[Any, Any]] = {}
    failures: list[tuple[str, str]] = []
    resumed = 0
    progress(title, 0, len(samples))
    for index in range(len(samples)):
        if (kept := _kept(results, task, samples.keys[index])) is not None:
            frames[index] = kept
            resumed += 1
        else:
            sample_id = f"sample {index}"
            try:
                sample = samples[index]
                sample_id = sample.sample_id
                output = pipeline.infer(sample.input).output
            except AwmlDeployError as error:
                _LOG.error("%s cannot run %s: %s", title, sample_id, error)
                failures.append((sample_id, str(error)))
            else:
                frame = TaskFrame(sample_id, output, sample.ground_truth)
                results.append(samples.keys[index], {"sample_id": sample_id, **task.encode(frame)})
                frames[index] = frame
        progress(title, index + 1, len(samples))
    if resumed:
        _LOG.info("%s: went on after an earlier run", title, extra={"frames_kept": resumed})
    return FrameRun(frames, tuple(failures), resumed)


def _kept(results: Results, task: FrameCodec, key: str) -> TaskFrame[Any, Any] | None:
    """The frame of an earlier run; one that does not decode runs again."""
    if (content := results.get(key)) is None:
        return None
    try:
        return task.decode(str(content["sample_id"]), content)
    except (KeyError, TypeError, ValueError, AwmlDeployError):
        return None
