"""Pictures of the frames that an evaluation keeps as evidence."""

from __future__ import annotations

import logging
import re
from pathlib import Path

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
    """Draw the best and worst frames of every backend, with ground truth and the reference's boxes.

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
    reference = result.backends[0] if result.backends else None
    with io_errors(folder, "cannot be made"):
        folder.mkdir(parents=True, exist_ok=True)
    for backend in result.backends:
        for judged in (*backend.worst, *backend.best):
            try:
                path = _draw(backend, judged, reference, samples, folder, min_score)
            except MissingDependencyError as error:
                _LOG.warning("no pictures: %s", error)
                return drawn
            if path is not None:
                drawn[backend.name, judged.index] = str(path)
    return drawn


def _draw(
    backend: BackendResult,
    judged: JudgedFrame,
    reference: BackendResult | None,
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
    if reference is not None and reference is not backend and reference.run is not None:
        theirs = reference.run.frames.get(judged.index)
    path = folder / (re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{backend.name}_{frame.sample_id}") + ".png")
    title = f"{frame.sample_id} on {backend.name}: {judged.score.summary}"
    if isinstance(frame.output, Detections) and isinstance(fed, PointCloudFrame):
        write_bev(
            path,
            fed.sweeps[0].columns,
            frame.output.above(min_score),
            reference=None if theirs is None else theirs.output.above(min_score),
            reference_name="" if reference is None else reference.name,
            ground_truth=frame.truth if isinstance(frame.truth, GroundTruth) else None,
            title=title,
        )
        return path
    if isinstance(frame.output, Detections2D) and isinstance(fed, Image):
        write_image(
            path,
            fed,
            frame.output.above(min_score),
            reference=None if theirs is None else theirs.output.above(min_score),
            ground_truth=frame.truth if isinstance(frame.truth, GroundTruth2D) else None,
            title=title,
        )
        return path
    return None
