"""Stand-ins for a model, to test the node's machinery without one."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from processes import TIMEOUT_S

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import InferenceError, ParameterError
from awml_deploy_core.pipeline import InferencePipeline, StageClock, TensorTap
from awml_deploy_core.points import PointCloudFrame
from awml_deploy_ros.model import ModelIdentity, OpenModel
from awml_deploy_ros.settings import NodeSettings

CLASSES = ("CAR", "PEDESTRIAN")
IDENTITY = ModelIdentity("fake", "0" * 64, "fake_backend", "cpu")


@dataclass
class FakeState:
    """What a test sees and steers, shared by all pipelines made with other options."""

    closed: bool = False
    entered: int = 0
    """Frames with points, so not those that warm up, whose inference began."""
    frames: list[int] = field(default_factory=list)
    """Points of every frame, in order."""
    samples: list[PointCloudFrame] = field(default_factory=list)
    """What the pipeline was given, in order."""
    infer_s: float = 0.0
    failure: BaseException | None = None
    gate: threading.Event | None = None
    """If set, inference waits for it."""


class FakePipeline(InferencePipeline[PointCloudFrame, Detections]):
    """One CAR at the mean of the points, with its score threshold as its score."""

    def __init__(self, state: FakeState, options: Mapping[str, Any] | None = None) -> None:
        self.state = state
        self.options: dict[str, Any] = {
            "decoder": "autoware",
            "iou_nms_threshold": 0.5,
            "distance_bin_upper_limits": (50.0,),
            "min_confidence_scores": dict.fromkeys(CLASSES, (0.5,)),
            **(options or {}),
        }

    @property
    def sessions(self) -> tuple[()]:
        return ()

    def option_values(self) -> dict[str, Any]:
        return dict(self.options)

    def with_options(self, options: Mapping[str, Any]) -> FakePipeline:
        merged = {**self.options, **options}
        bins = len(merged["distance_bin_upper_limits"])
        if problems := [
            f"{name} has {len(scores)} values for {bins} bins"
            for name, scores in merged["min_confidence_scores"].items()
            if len(scores) != bins
        ]:
            raise ParameterError("post-processing options", "are invalid", problems=problems)
        return FakePipeline(self.state, merged)

    def warm_up(self) -> None:
        time.sleep(self.state.infer_s)
        if self.state.failure is not None:
            raise self.state.failure

    def close(self) -> None:
        self.state.closed = True

    def _infer(
        self, sample: PointCloudFrame, clock: StageClock, tap: TensorTap | None
    ) -> tuple[Detections, Mapping[str, int]]:
        self.state.entered += sample.num_points > 0
        with clock.stage("backbone_head"):
            if self.state.gate is not None:
                assert self.state.gate.wait(TIMEOUT_S)
            time.sleep(self.state.infer_s)
        if self.state.failure is not None:
            raise self.state.failure
        self.state.frames.append(sample.num_points)
        self.state.samples.append(sample)
        counts = {"points_in": sample.num_points, "points_used": sample.num_points}
        columns = sample.sweeps[0].columns
        if not len(columns):
            return Detections.empty(CLASSES), counts
        center = np.array([[columns.x.mean(), columns.y.mean(), columns.z.mean()]], np.float32)
        score = self.options["min_confidence_scores"]["CAR"][0]
        return (
            Detections(
                center,
                np.array([[4.0, 2.0, 1.5]], np.float32),
                np.array([0.25], np.float32),
                np.array([[3.0, -1.0]], np.float32),
                np.array([score], np.float32),
                np.array([0], np.int32),
                CLASSES,
            ),
            counts,
        )


class FakeModels:
    """Opens fake models and remembers them."""

    def __init__(self, state: FakeState | None = None) -> None:
        self.state = state or FakeState()
        self.settings: list[NodeSettings] = []

    def __call__(self, settings: NodeSettings) -> OpenModel:
        self.settings.append(settings)
        self.state.closed = False
        return OpenModel(FakePipeline(self.state), IDENTITY, class_names=CLASSES)


def inference_failure() -> InferenceError:
    return InferenceError("fake component", "failed on purpose")
