"""Runs a pipeline over samples and keeps what every frame gave."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from awml_deploy_core.detections import Detections
from awml_deploy_core.detections2d import Detections2D
from awml_deploy_core.errors import AwmlDeployError, ConfigError
from awml_deploy_core.family import Sample
from awml_deploy_core.files import io_errors
from awml_deploy_core.images import Image
from awml_deploy_core.pipeline import InferencePipeline, Result, StageLatencies
from awml_deploy_core.points import PointCloudFrame
from awml_deploy_core.progress import Progress
from awml_deploy_core.reporting.bev import write_bev
from awml_deploy_core.reporting.build import latency_records
from awml_deploy_core.reporting.image_view import write_image
from awml_deploy_core.reporting.result import FrameRecord, InferenceRecord
from awml_deploy_core.verification import Endpoint

_LOG = logging.getLogger(__name__)


def run_inference(
    pipeline: InferencePipeline[Any, Result],
    samples: Sequence[Sample],
    *,
    source: str,
    endpoint: Endpoint,
    min_score: float,
    pictures: Path | None,
    progress: Progress,
) -> InferenceRecord:
    """Run every sample; the first twice, so that latencies are those of a pipeline that is warm.

    A sample that cannot be loaded or run becomes a frame with an error, and the next one follows.

    Args:
        pipeline: What to run.
        samples: Loaded one at a time.
        source: Where the samples come from, for the record.
        endpoint: Where the pipeline runs, for the record.
        min_score: Boxes below it are left out.
        pictures: Folder for one picture a frame, named by sample.
        progress: Told after every frame.

    Raises:
        ArtifactError, MissingDependencyError: A picture cannot be drawn or written.
        ConfigError: Pictures are asked for of what cannot be drawn.
    """
    if pictures is not None:
        with io_errors(pictures, "folder cannot be made"):
            pictures.mkdir(parents=True, exist_ok=True)
    frames: list[FrameRecord] = []
    latencies: list[StageLatencies] = []
    counts: Counter[str] = Counter()
    for index in range(len(samples)):
        sample_id = f"sample {index}"
        try:
            sample = samples[index]
            sample_id = sample.sample_id
            if not latencies:
                pipeline.infer(sample.input)
            result = pipeline.infer(sample.input)
        except AwmlDeployError as error:
            _LOG.error("cannot run %s: %s", sample_id, error)
            frames.append(FrameRecord(sample=sample_id, error=str(error)))
            continue
        finally:
            progress("infer", index + 1, len(samples))
        kept = result.output.above(min_score)
        counts.update(kept.count_by_class())
        latencies.append(result.latencies)
        frames.append(
            FrameRecord(
                sample=sample_id,
                counts=dict(result.counts),
                latencies_ms=result.latencies.as_dict(),
                detections=tuple(kept.to_records()),
                picture=None if pictures is None else _draw(pictures, sample, kept),
            )
        )
    return InferenceRecord(
        source=source,
        backend=endpoint.backend,
        device=str(endpoint.device),
        min_score=min_score,
        detections_by_class=dict(counts),
        latencies=latency_records(latencies),
        frames=tuple(frames),
    )


def _draw(folder: Path, sample: Sample, result: Result) -> str:
    frame = sample.input
    path = folder / f"{sample.sample_id.replace('/', '_')}.png"
    if isinstance(frame, PointCloudFrame) and isinstance(result, Detections):
        columns = frame.sweeps[0].columns
        write_bev(path, columns, result, title=f"{sample.sample_id}: {len(result)} boxes")
    elif isinstance(frame, Image) and isinstance(result, Detections2D):
        write_image(path, frame, result, title=f"{sample.sample_id}: {len(result)} boxes")
    else:
        raise ConfigError(
            "pictures",
            "can only be drawn of boxes in point clouds and images",
            got=f"{type(result).__name__} of a {type(frame).__name__}",
            hint="Leave out --picture.",
        )
    return str(path)
