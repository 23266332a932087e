"""Pictures of the frames that an evaluation keeps as evidence."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import AwmlDeployError, MissingDependencyError
from awml_deploy_core.evaluation.results import BackendResult, EvaluationResult, JudgedFrame
from awml_deploy_core.evaluation.samples import KeyedSamples
from awml_deploy_core.files import io_errors
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.points import PointCloudFrame
from awml_deploy_core.reporting.bev import write_bev

_LOG = logging.getLogger(__name__)


def draw_evidence(
    result: EvaluationResult, samples: KeyedSamples, folder: Path, min_score: float
) -> dict[tuple[str, int], str]:
    """Draw the best and worst frames of every backend, with ground truth and the reference's boxes.

    What cannot be drawn (another task than 3D detection, a sample that cannot be loaded again, no
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
        cloud = samples[judged.index].input
    except AwmlDeployError as error:
        _LOG.warning("no picture of %s: %s", frame.sample_id, error)
        return None
    if not isinstance(frame.output, Detections) or not isinstance(cloud, PointCloudFrame):
        return None
    other = None
    if reference is not None and reference is not backend and reference.run is not None:
        theirs = reference.run.frames.get(judged.index)
        other = None if theirs is None else _kept(theirs.output, min_score)
    path = folder / (re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{backend.name}_{frame.sample_id}") + ".png")
    write_bev(
        path,
        cloud.sweeps[0].columns,
        _kept(frame.output, min_score),
        reference=other,
        reference_name="" if reference is None else reference.name,
        ground_truth=frame.truth if isinstance(frame.truth, GroundTruth) else None,
        title=f"{frame.sample_id} on {backend.name}: {judged.score.summary}",
    )
    return path


def _kept(boxes: Detections, min_score: float) -> Detections:
    return boxes.select(np.flatnonzero(boxes.scores >= min_score))
