"""The ``verification`` section of a deploy.yaml: data and per-field validation, no behaviour."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from awml_deploy_core.config.values import EndpointSection, NonNegative, SampleSource, Section

Precision = Literal["fp32", "tf32", "fp16", "int8"]
Level = Literal["probe", "component", "chain", "boxes"]
ExportMode = Literal["onnx", "trt", "both", "none"]
Share = Annotated[float, Field(ge=0, le=1)]


class ScenarioSection(Section):
    """A reference backend against a test backend."""

    name: str = ""
    """Name in reports; empty is `<reference> vs <test>`."""
    reference: EndpointSection
    """What is taken as right."""
    test: EndpointSection
    """What is checked against it."""
    required: bool = True
    """Whether a backend that cannot run here fails the run (true) or skips the scenario (false)."""
    precision: Precision | None = None
    """Which tolerances apply; empty is the coarser precision of both sides' artifacts."""

    @property
    def title(self) -> str:
        """The name, or one made of both sides."""
        return self.name or f"{self.reference} vs {self.test}"


class TensorTolerance(Section):
    """Limits for one tensor; a limit left empty is not checked."""

    relative: NonNegative | None = None
    """Largest absolute difference over the largest absolute reference value."""
    relative_p999: NonNegative | None = None
    """The 99.9th percentile of the absolute differences over the largest absolute reference value."""
    max_abs: NonNegative | None = None
    """Largest absolute difference."""
    mean_abs: NonNegative | None = None
    """Mean absolute difference."""
    min_cosine: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Least cosine similarity of the flattened tensors."""

    @model_validator(mode="after")
    def _some_limit(self) -> TensorTolerance:
        limits = (self.relative, self.relative_p999, self.max_abs, self.mean_abs, self.min_cosine)
        if all(limit is None for limit in limits):
            raise ValueError(
                "at least one limit is needed: relative, relative_p999, max_abs, mean_abs or min_cosine"
            )
        return self


class BoxTolerance(Section):
    """Limits for decoded boxes matched one to one within a class; those left out keep the precision's."""

    match_distance: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Centres farther apart [m] are not the same box."""
    min_iou: Share | None = None
    """Boxes that overlap less, seen from above, are not the same box."""
    position: NonNegative | None = None
    """Distance of the centres [m]."""
    size: NonNegative | None = None
    """Difference of length, width or height [m]."""
    yaw: NonNegative | None = None
    """Difference of the yaw modulo half a turn [rad]."""
    velocity: NonNegative | None = None
    """Length of the difference of the velocities [m/s]."""
    score: NonNegative | None = None
    """Difference of the scores."""
    max_heading_flips: Annotated[int, Field(ge=0)] | None = None
    """Matched boxes of one sample whose headings may differ by more than a quarter turn."""
    max_unmatched: Annotated[int, Field(ge=0)] | None = None
    """Boxes of either side that may stay without a partner in one sample."""
    max_borderline: Share | None = None
    """Share of a sample's boxes that may be borderline, that is decided by rounding; one always may."""


class Box2dTolerance(Section):
    """Limits for boxes in images matched one to one within a class; those left out keep the precision's."""

    match_iou: Share | None = None
    """Boxes that overlap less are not the same box."""
    corner: NonNegative | None = None
    """Difference of a coordinate of a corner [px]."""
    corner_relative: NonNegative | None = None
    """The same over the longer side of the box; the larger of both limits counts."""
    score: NonNegative | None = None
    """Difference of the scores."""
    max_unmatched: Annotated[int, Field(ge=0)] | None = None
    """Boxes of either side that may stay without a partner within these limits in one sample."""
    max_unmatched_share: Share | None = None
    """The same as a share of the sample's boxes; the larger of both limits counts."""


class ClassificationTolerance(Section):
    """Limits for probabilities of classes; those left out keep the precision's."""

    probability: NonNegative | None = None
    """Difference of the probability of a class."""
    same_class: bool | None = None
    """Whether the most probable class has to be the same even where probabilities within their limit say
    another one."""


class PrecisionTolerance(Section):
    """Limits of one precision; what is left out keeps the precision's defaults."""

    default: TensorTolerance | None = None
    """For every tensor not named below."""
    outputs: dict[str, TensorTolerance] = Field(default_factory=dict)
    """By tensor name, e.g. `heatmap`."""
    boxes: BoxTolerance = BoxTolerance()
    boxes2d: Box2dTolerance = Box2dTolerance()
    classification: ClassificationTolerance = ClassificationTolerance()


class VerificationSection(Section):
    """Which backends must agree, on what, and how closely."""

    enabled: bool = True
    """Whether `run` verifies. `verify` always does."""
    samples: tuple[SampleSource, ...] = ()
    """Cloud files, folders of clouds, rosbag2 folders or info files; `PATH#topic` chooses a bag's topic."""
    num_samples: Annotated[int, Field(ge=-1)] = 8
    """How many samples of all sources together; -1 is all."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Chooses which samples; the same seed gives the same samples."""
    scenarios: tuple[ScenarioSection, ...] = ()
    """Scenarios of every export mode. Where these and the export mode's own are empty, every backend
    and device usable here is compared with PyTorch on the CPU, or without a checkpoint with ONNX Runtime
    on the CPU."""
    scenarios_by_mode: dict[ExportMode, tuple[ScenarioSection, ...]] = Field(default_factory=dict)
    """Further scenarios by `export.mode`."""
    levels: tuple[Level, ...] = ("probe", "component", "chain", "boxes")
    """What is checked: `probe` decodes boxes at known places, `component` feeds each component with the
    reference's inputs, once with noise on all of them, `chain` lets each backend use its own tensors and
    repeats the first sample, `boxes` matches what is decoded."""
    bisect: bool = True
    """Whether a component that fails alone is searched for its first diverging internal tensor."""
    tolerances: dict[Precision, PrecisionTolerance] = Field(default_factory=dict)
    """How much two backends may differ, by the coarser of their precisions: `fp32`, `tf32` (products of 10
    bits on tensor cores), `fp16`, `int8`. The defaults are below."""
