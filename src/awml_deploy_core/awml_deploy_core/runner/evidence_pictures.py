"""Pictures of the frames that an evaluation keeps as evidence."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from awml_deploy_core.config.evaluation_schema import EvaluationSection
from awml_deploy_core.detections import Detections
from awml_deploy_core.detections2d import Detections2D, GroundTruth2D
from awml_deploy_core.errors import AwmlDeployError, MissingDependencyError
from awml_deploy_core.evaluation.detection3d_task import Detection3dTask
from awml_deploy_core.evaluation.results import BackendResult, EvaluationResult, JudgedFrame
from awml_deploy_core.evaluation.samples import KeyedSamples
from awml_deploy_core.evaluation.task import TaskFrame
from awml_deploy_core.files import io_errors
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.images import Image
from awml_deploy_core.points import PointCloudFrame
from awml_deploy_core.reporting.bev import write_bev
from awml_deploy_core.reporting.image_view import write_image

_LOG = logging.getLogger(__name__)


def draw_evidence(
    result: EvaluationResult, samples: KeyedSamples, folder: Path, task: Any, section: EvaluationSection
) -> dict[tuple[str, int], str]:
    """Draw the best and worst frames of every backend, with ground truth and another backend's boxes.

    The other backend is the reference, the first, for all others, and the second for the first.

    What cannot be drawn (a result without boxes, a sample that cannot be loaded again, no
    matplotlib) has no picture.

    Args:
        result: Whose frames to draw.
        samples: That they come from.
        folder: Made if need be.
        task: What judged them: the boxes that it looks at are drawn.
        section: Its configuration.

    Returns:
        Path by backend and position of the frame.

    Raises:
        ArtifactError: A picture cannot be written.
    """
    drawn: dict[tuple[str, int], str] = {}
    shown = partial(_shown, task, section)
    with io_errors(folder, "cannot be made"):
        folder.mkdir(parents=True, exist_ok=True)
    for backend in result.backends:
        others = (other for other in result.backends if other is not backend and other.run is not None)
        other = next(others, None)
        for judged in (*backend.worst, *backend.best):
            try:
                path = _draw(backend, judged, other, samples, folder, shown, section)
            except MissingDependencyError as error:
                _LOG.warning("no pictures: %s", error)
                return drawn
            if path is not None:
                drawn[backend.name, judged.index] = str(path)
    return drawn


def _draw(
    backend: BackendResult,
    judged: JudgedFrame,
    other: BackendResult | None,
    samples: KeyedSamples,
    folder: Path,
    shown: Callable[[TaskFrame[Any, Any]], TaskFrame[Any, Any]],
    section: EvaluationSection,
) -> Path | None:
    frame = shown(judged.frame)
    try:
        fed = samples[judged.index].input
    except AwmlDeployError as error:
        _LOG.warning("no picture of %s: %s", frame.sample_id, error)
        return None
    theirs = None
    if other is not None and other.run is not None:
        theirs = other.run.frames.get(judged.index)
    return draw_output(
        folder,
        f"{backend.name}_{frame.sample_id}",
        fed,
        frame.output,
        reference=None if theirs is None else shown(theirs).output,
        reference_name="" if other is None else other.name,
        truth=frame.truth,
        title=f"{frame.sample_id} on {backend.name}: {judged.score.summary}",
        match_distance=section.detection3d.tp_threshold,
    )


def _shown(task: Any, section: EvaluationSection, frame: TaskFrame[Any, Any]) -> TaskFrame[Any, Any]:
    """The boxes that decided how good the frame is, so that a picture shows what its title says."""
    if isinstance(task, Detection3dTask):
        return task.judged(frame)
    if isinstance(frame.output, Detections2D):
        confident = frame.output.above(section.detection2d.frame_min_score)
        return replace(frame, output=confident)
    return frame


def draw_output(
    folder: Path,
    name: str,
    fed: Any,
    output: Any,
    *,
    reference: Any = None,
    reference_name: str = "",
    truth: Any = None,
    title: str = "",
    match_distance: float = 2.0,
) -> Path | None:
    """Draw boxes over what they were found in; None where there are no boxes to draw.

    Args:
        folder: Where the picture goes.
        name: Of the picture, without ending; what no file name should have is replaced.
        fed: What the pipeline was fed with.
        output: What it gave.
        reference: What another backend gave.
        reference_name: The name of that backend.
        truth: What is there, if it is known.
        title: One line above the picture.
        match_distance: Ground truth with its centre farther away [m] is not what a box is of.

    Raises:
        ArtifactError: The picture cannot be written.
        MissingDependencyError: matplotlib is not installed.
    """
    path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}.png"
    if isinstance(output, Detections) and isinstance(fed, PointCloudFrame):
        write_bev(
            path,
            fed.sweeps[0].columns,
            output,
            reference=reference,
            reference_name=reference_name,
            ground_truth=truth if isinstance(truth, GroundTruth) else None,
            match_distance=match_distance,
            title=title,
        )
        return path
    if isinstance(output, Detections2D) and isinstance(fed, Image):
        write_image(
            path,
            fed,
            output,
            reference=reference,
            ground_truth=truth if isinstance(truth, GroundTruth2D) else None,
            title=title,
        )
        return path
    return None
