"""Opens the model bundle that the node runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_ros.parameters import NodeSettings
from awml_deploy_ros.worker import DetectionPipeline


@dataclass(frozen=True)
class ModelIdentity:
    """What made the detections."""

    model_name: str
    bundle_hash: str
    """SHA-256, hexadecimal."""
    backend: str
    device: str


@dataclass(frozen=True, eq=False)
class OpenModel:
    """A pipeline as its bundle defines it, and its identity."""

    pipeline: DetectionPipeline
    identity: ModelIdentity


ModelOpener = Callable[[NodeSettings], OpenModel]


def open_bundle(settings: NodeSettings) -> OpenModel:
    """Open the bundle, backend and device that the parameters name.

    Raises:
        AwmlDeployError: The bundle is missing or corrupt, or the backend cannot run here.
    """
    # Importing the runner takes a while, and a node that is never configured does not need it.
    from awml_deploy_core.artifacts.bundle import ModelBundle
    from awml_deploy_core.runner import open_pipeline

    path = Path(settings.model_path).expanduser()
    bundle = ModelBundle.open(path)
    pipeline = open_pipeline(path, settings.backend, settings.device, {"num_threads": settings.num_threads})
    return OpenModel(
        pipeline, ModelIdentity(bundle.model_name, bundle.bundle_hash, settings.backend, settings.device)
    )


def warm_up(pipeline: DetectionPipeline, frames: int) -> tuple[str, ...]:
    """Run synthetic clouds so that the first real one is not slow; return the class names.

    Raises:
        AwmlDeployError: The pipeline failed.
    """
    generator = np.random.default_rng(0)
    points = generator.uniform((-60.0, -60.0, -2.0, 0.0), (60.0, 60.0, 2.0, 255.0), (20_000, 4))
    cloud = PointCloudFrame.single(PointColumns.from_array(points.astype(np.float32)))
    empty = PointCloudFrame.single(PointColumns.from_array(np.zeros((0, 4), np.float32)))
    for _ in range(frames):
        pipeline.infer(cloud)
    return pipeline.infer(empty).output.class_names


def with_options(pipeline: DetectionPipeline, options: Mapping[str, Any]) -> DetectionPipeline:
    """The pipeline with run-time options set, or itself where none is."""
    return pipeline.with_options(options) if options else pipeline
