"""The ``evaluation`` section of a deploy.yaml."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from awml_deploy_core.config.values import EndpointSection, SampleSource, Section

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1)]


class DatasetSection(Section):
    """Samples to evaluate on. The short form `PATH` is accepted too."""

    source: SampleSource
    """Info file, rosbag2 folder (`PATH#topic`), cloud file or folder of clouds; for models of images what
    their family reads, e.g. a COCO annotation file. Info files and annotations have ground truth; so have
    bags with one beside them (`PATH.infos.pkl`)."""
    num_past_sweeps: Annotated[int, Field(ge=0, le=100)] = 0
    """At most this many past sweeps a sample, where the source lists any."""
    class_mapping: dict[str, str] | None = None
    """Class of the model for each category of the source; empty is the model family's own mapping."""
    limit: Annotated[int, Field(gt=0)] | None = None
    """Most samples, from the start; empty is all."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return {"source": value} if isinstance(value, str) else value


class EvaluatedBackendSection(EndpointSection):
    """A backend to evaluate. The short form `backend:device` is accepted too."""

    required: bool = True
    """Whether the run fails (true) or the backend is skipped (false) where it cannot run."""


class AutowareSection(Section):
    """Thresholds of Autoware's AP and APH by matching policy; a policy with none is left out."""

    center_distance: tuple[Positive, ...] = ()
    """Distances of the centres [m]."""
    center_distance_bev: tuple[Positive, ...] = (0.5, 1.0, 2.0, 4.0)
    """The same seen from above [m]."""
    plane_distance: tuple[Positive, ...] = (2.0,)
    """Distances of the sides nearest to the vehicle [m]."""
    iou_bev: tuple[Share, ...] = (0.5,)
    """Intersections over union, seen from above."""
    iou_3d: tuple[Share, ...] = (0.5,)
    """Intersections over union of the volumes."""


class Detection3dSection(Section):
    """How 3D detections are measured; the defaults are those of nuScenes."""

    thresholds: tuple[Positive, ...] = (0.5, 1.0, 2.0, 4.0)
    """Centres at least this far apart [m], seen from above, are no match."""
    tp_threshold: Positive = 2.0
    """The threshold [m] whose matches the errors and the frames' own scores are taken from."""
    min_recall: Annotated[float, Field(ge=0, lt=0.99)] = 0.1
    """Recall up to this does not count."""
    min_precision: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Precision up to this counts as none."""
    max_distance: dict[str, Positive] = Field(default_factory=dict)
    """By class: boxes at least this far [m] from the origin are left out."""
    default_max_distance: Positive | None = None
    """The same for every other class; empty leaves none out."""
    min_points: Annotated[int, Field(ge=0)] = 1
    """Ground truth on fewer LiDAR points is left out; where the number is unknown, it is kept."""
    half_turn_classes: tuple[str, ...] = ()
    """Classes whose front cannot be told from their rear."""
    range_borders: tuple[Positive, ...] = (20.0, 40.0, 60.0)
    """Distances [m] that divide the results by range; the last range is open."""
    frame_min_score: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Boxes from this score on decide which frames are best and worst."""
    autoware: AutowareSection = AutowareSection()
    agreement_distance: Positive = 0.5
    """Centres of two backends farther apart [m] are not the same box."""


class Detection2dSection(Section):
    """How 2D detections are measured; the defaults are those of COCO."""

    iou_thresholds: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (
        0.5,
        0.55,
        0.6,
        0.65,
        0.7,
        0.75,
        0.8,
        0.85,
        0.9,
        0.95,
    )
    """Overlaps from which on a box is a match, ascending; AP is the mean over them."""
    max_detections: Annotated[int, Field(gt=0)] = 100
    """Best boxes of a class and image that count."""
    frame_min_score: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Boxes from this score on decide which images are best and worst."""
    frame_min_iou: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Overlap from which on they are a match."""
    agreement_iou: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Boxes of two backends that overlap less are not the same box."""

    @model_validator(mode="after")
    def _ascending(self) -> Detection2dSection:
        values = self.iou_thresholds
        if not values or list(values) != sorted(set(values)):
            raise ValueError(f"iou_thresholds must be ascending and at least one, got {list(values)}")
        return self


class LatencySection(Section):
    """How latency is measured: over the samples again and again, until a percentile is known."""

    enabled: bool = True
    """Whether it is measured."""
    warm_up_frames: Annotated[int, Field(ge=0)] = 5
    """Frames run before, not counted."""
    num_samples: Annotated[int, Field(gt=0)] = 16
    """Samples held in memory and run in turn, spread evenly over all."""
    percentile: Annotated[float, Field(gt=0, lt=100)] = 95.0
    """The percentile that has to be known."""
    tolerance: Positive = 0.05
    """It is known when its confidence interval reaches no farther than this share of it to either side."""
    confidence: Share = 0.95
    """Of the confidence interval."""
    min_frames: Annotated[int, Field(gt=0)] = 100
    """Least frames measured."""
    max_frames: Annotated[int, Field(gt=0)] = 2000
    """Most frames measured, known or not."""
    max_seconds: Positive = 60.0
    """Longest time, known or not."""

    @model_validator(mode="after")
    def _ordered(self) -> LatencySection:
        if self.min_frames > self.max_frames:
            raise ValueError(f"min_frames {self.min_frames} is more than max_frames {self.max_frames}")
        return self


class FloorSection(Section):
    """A limit that turns a figure of the evaluation into a check."""

    figure: str
    """Name of a figure, e.g. `mean_ap`, `ap/CAR`, `mean_ap/0-20m`, `mean_ap/iou0.50`, `accuracy`,
    `recall/miscalibrated`, `latency/p99`, `memory/peak_mb`, `memory/device_mb`, `size/mb`,
    `agreement/matched_share`; the JSON report lists all."""
    min: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Least value that passes."""
    max: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Largest value that passes."""
    backends: tuple[str, ...] = ()
    """Which backends (`backend:device`); empty is all."""

    @field_validator("backends")
    @classmethod
    def _with_index(cls, backends: tuple[str, ...]) -> tuple[str, ...]:
        # As results are named: `pytorch:cuda` is `pytorch:cuda:0`.
        return tuple(str(EndpointSection.model_validate(name)) for name in backends)

    @model_validator(mode="after")
    def _some_limit(self) -> FloorSection:
        if self.min is None and self.max is None:
            raise ValueError("min or max is needed")
        return self


class EvaluationSection(Section):
    """How good and how fast each backend is."""

    enabled: bool = True
    """Whether `run` evaluates, if there is a data set. `evaluate` always does."""
    datasets: tuple[DatasetSection, ...] = ()
    """What to evaluate on, together."""
    num_samples: Annotated[int, Field(ge=-1)] = -1
    """How many samples of all data sets together; -1 is all."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Chooses which samples; the same seed gives the same samples."""
    backends: tuple[EvaluatedBackendSection, ...] = (
        EvaluatedBackendSection(backend="onnxruntime", device="cpu"),
    )
    """Backends in order; the first is the reference that the others' boxes are compared with."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Run-time options of the model family while accuracy is measured, beside `runtime.options`: average
    precision needs low score thresholds. Latency is measured with `runtime.options` alone."""
    detection3d: Detection3dSection = Detection3dSection()
    detection2d: Detection2dSection = Detection2dSection()
    latency: LatencySection = LatencySection()
    keep_frames: Annotated[int, Field(ge=0, le=50)] = 3
    """How many of the best and of the worst frames are kept as evidence, with pictures."""
    floors: tuple[FloorSection, ...] = ()
    """What has to hold; without any, the run passes if every required backend ran every sample."""
