"""Pictures of the frames that an evaluation keeps as evidence."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from awml_deploy_core.detections import Detections
from awml_deploy_core.detections2d import Detections2D, GroundTruth2D
from awml_deploy_core.errors import AwmlDeployError, MissingDependencyError
from awml_deploy_core.evaluation.results import BackendResult, EvaluationResult, JudgedFrame
from awml_deploy_core.evaluation.samples import KeyedSamples
from awml_deploy_core.files import io_errors
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.images import Image
from awml_deploy_core.points import PointCloudFrame
from awml_deploy_core.reporting.bev import write_bev
from awml_deploy_core.reporting.image_view import write_image

_LOG = logging.getLogger(__name__)


def draw_evidence(
    result: EvaluationResult, samples: KeyedSamples, folder: Path, min_score: float
) -> dict[tuple[str, int], str]:
    """Draw the best and worst frames of every backend, with ground truth and another backend's boxes.

    The other backend is the reference, the first, for all others, and the second for the first.

    What cannot be drawn (a result without boxes, a sample that cannot be loaded again, no
    matplotlib) has no picture.

    Args:
        result: Whose frames to draw.
        samples: That they come from.
        folder: Made if need be.
        min_score: Boxes below are left out.

    Returns:
        Path by backend and position of the frame.

    Raises:
        ArtifactError: A picture cannot be written.
    """
    drawn: dict[tuple[str, int], str] = {}
    with io_errors(folder, "cannot be made"):
        folder.mkdir(parents=True, exist_ok=True)
    for backend in result.backends:
        others = (other for other in result.backends if other is not backend and other.run is not None)
        other = next(others, None)
        for judged in (*backend.worst, *backend.best):
            try:
                path = _draw(backend, judged, other, samples, folder, min_score)
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
    min_score: float,
) -> Path | None:
    frame = judged.frame
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
        reference=None if theirs is None else theirs.output,
        reference_name="" if other is None else other.name,
        truth=frame.truth,
        title=f"{frame.sample_id} on {backend.name}: {judged.score.summary}",
        min_score=min_score,
    )


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
    min_score: float = 0.0,
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
        min_score: Boxes below are left out.

    Raises:
        ArtifactError: The picture cannot be written.
        MissingDependencyError: matplotlib is not installed.
    """
    path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}.png"
    if isinstance(output, Detections) and isinstance(fed, PointCloudFrame):
        write_bev(
            path,
            fed.sweeps[0].columns,
            output.above(min_score),
            reference=None if reference is None else reference.above(min_score),
            reference_name=reference_name,
            ground_truth=truth if isinstance(truth, GroundTruth) else None,
            title=title,
        )
        return path
    if isinstance(output, Detections2D) and isinstance(fed, Image):
        write_image(
            path,
            fed,
            output.above(min_score),
            reference=None if reference is None else reference.above(min_score),
            ground_truth=truth if isinstance(truth, GroundTruth2D) else None,
            title=title,
        )
        return path
    return None
