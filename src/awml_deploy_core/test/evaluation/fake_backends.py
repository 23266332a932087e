"""Pipelines that give known boxes, and surroundings that open them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from evaluation_frames import boxes, truth

from awml_deploy_core.detections import Detections
from awml_deploy_core.device import CPU
from awml_deploy_core.evaluation.backend_run import NoResults, Results
from awml_deploy_core.evaluation.results import EvaluatedBackend
from awml_deploy_core.evaluation.samples import KeyedSamples
from awml_deploy_core.evaluation.store import FrameStore
from awml_deploy_core.family import Sample
from awml_deploy_core.pipeline import InferencePipeline, StageClock, TensorTap
from awml_deploy_core.verification import Endpoint

Detect = Callable[[int], Detections]


def there(index: int) -> Detections:
    """The boxes of a frame: one car more in each."""
    return boxes([(5.0 * i, 2.0) for i in range(index + 1)])


class FakePipeline(InferencePipeline[int, Detections]):
    """Finds what a function says; its input is the number of the sample."""

    def __init__(self, detect: Detect = there) -> None:
        self.detect = detect
        self.seen: list[int] = []
        self.options: list[Mapping[str, Any]] = []

    @property
    def sessions(self) -> tuple[Any, ...]:
        return ()

    def with_options(self, options: Mapping[str, Any]) -> FakePipeline:
        self.options.append(options)
        return self

    def _infer(
        self, sample: int, clock: StageClock, tap: TensorTap | None
    ) -> tuple[Detections, Mapping[str, int]]:
        self.seen.append(sample)
        with clock.stage("decode_boxes"):
            found = self.detect(sample)
        return found, {}


def labelled(count: int) -> list[Sample]:
    """Samples with ground truth."""
    return [Sample(f"s{i}", i, truth(there(i))) for i in range(count)]


def unlabelled(count: int) -> list[Sample]:
    """Samples without."""
    return [Sample(f"s{i}", i) for i in range(count)]


def keyed(samples: list[Sample]) -> KeyedSamples:
    """All of them."""
    return KeyedSamples.choose([("data", samples)])


def backend(name: str, *, required: bool = True) -> EvaluatedBackend:
    """A backend on the CPU."""
    return EvaluatedBackend(Endpoint(name, CPU), required)


class FakeSurroundings:
    """Opens the pipeline or raises the error of a backend's name."""

    def __init__(
        self, backends: Mapping[str, FakePipeline | Exception], folder: Path | None = None
    ) -> None:
        self.backends = backends
        self.folder = folder

    def open_pipeline(self, endpoint: Endpoint) -> FakePipeline:
        found = self.backends[endpoint.backend]
        if isinstance(found, Exception):
            raise found
        return found

    def open_results(self, endpoint: Endpoint) -> AbstractContextManager[Results]:
        if self.folder is None:
            return nullcontext(NoResults())
        return FrameStore(self.folder, {"endpoint": str(endpoint)})

    def artifact_bytes(self, endpoint: Endpoint) -> int:
        return 2_000_000


def shifted(distance: float) -> Detect:
    """All boxes, off to one side [m]."""
    return lambda index: boxes(np.array(there(index).centers)[:, :2] + (0.0, distance))
