"""Limits of every precision, and how a configuration changes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import get_args

from awml_deploy_core.config.verification import Precision, PrecisionTolerance, TensorTolerance

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
"""From the finest to the coarsest."""


_FP32 = TensorTolerance(relative=1e-4)


@dataclass(frozen=True)
class BoxLimits:
    """Limits of matched boxes; the meaning of each is that of ``config.verification.BoxTolerance``."""

    match_distance: float = 0.5
    min_iou: float = 0.7
    position: float = 0.01
    size: float = 0.01
    yaw: float = 0.01
    velocity: float = 0.05
    score: float = 1e-3
    max_heading_flips: int = 0
    max_unmatched: int = 0
    max_borderline: float = 0.02


@dataclass(frozen=True)
class Box2dLimits:
    """Limits of matched boxes in images, as ``config.verification.Box2dTolerance`` has them."""

    match_iou: float = 0.5
    corner: float = 0.5
    corner_relative: float = 0.0
    score: float = 1e-3
    max_unmatched: int = 0
    max_unmatched_share: float = 0.0


@dataclass(frozen=True)
class ClassificationLimits:
    """Limits of probabilities, as ``config.verification.ClassificationTolerance`` has them."""

    probability: float = 1e-3
    same_class: bool = True


@dataclass(frozen=True)
class Tolerances:
    """What two tensors, or two results, of one precision may differ by."""

    precision: Precision = "fp32"
    default: TensorTolerance = _FP32
    outputs: Mapping[str, TensorTolerance] = field(default_factory=dict)
    boxes: BoxLimits = BoxLimits()
    boxes2d: Box2dLimits = Box2dLimits()
    classification: ClassificationLimits = ClassificationLimits()

    def of(self, tensor: str) -> TensorTolerance:
        """Limits of a tensor by its name."""
        return self.outputs.get(tensor, self.default)


DEFAULTS: Mapping[Precision, Tolerances] = {
    # About ten times what another order of summation makes of the demo model's outputs.
    "fp32": Tolerances(),
    # Between fp32 and fp16: every operand of a product is rounded, nothing else.
    "tf32": Tolerances(
        "tf32",
        TensorTolerance(relative=2e-2, relative_p999=1e-2, min_cosine=0.9999),
        boxes=BoxLimits(position=0.05, size=0.05, yaw=0.05, velocity=0.15, score=0.02, max_borderline=0.05),
        boxes2d=Box2dLimits(corner=1.0, corner_relative=0.01, score=0.02, max_unmatched_share=0.02),
        classification=ClassificationLimits(probability=0.02, same_class=False),
    ),
    # Twice what casting the demo model does to tensors (docs/precision.md); boxes that rounding decides
    # differ by far more than others, and are what their limits are for.
    "fp16": Tolerances(
        "fp16",
        TensorTolerance(relative=6e-2, relative_p999=3e-2, min_cosine=0.999),
        boxes=BoxLimits(
            min_iou=0.5,
            position=0.1,
            size=0.1,
            yaw=0.2,
            velocity=0.4,
            score=0.05,
            max_borderline=0.1,
        ),
        boxes2d=Box2dLimits(corner=2.0, corner_relative=0.03, score=0.05, max_unmatched_share=0.05),
        classification=ClassificationLimits(probability=0.05, same_class=False),
    ),
    # Half more than what the demo model differs from FP32 by where quantisation costs it no accuracy
    # (docs/precision.md). Single values and boxes say little then; most boxes do. Two backends that run the
    # same quantised file differ by far less.
    "int8": Tolerances(
        "int8",
        TensorTolerance(relative_p999=1.2, min_cosine=0.8),
        boxes=BoxLimits(
            min_iou=0.3,
            position=0.5,
            size=1.2,
            yaw=1.6,
            velocity=5.0,
            score=0.25,
            max_heading_flips=8,
            max_unmatched=8,
            max_borderline=0.4,
        ),
        boxes2d=Box2dLimits(corner=4.0, corner_relative=0.1, score=0.15, max_unmatched_share=0.2),
        classification=ClassificationLimits(probability=0.15, same_class=False),
    ),
}


ToleranceChanges = Mapping[Precision, PrecisionTolerance]
"""What a configuration changes."""


def resolve(configured: ToleranceChanges, precision: Precision) -> Tolerances:
    """The defaults of a precision with the configured changes."""
    base, changes = DEFAULTS[precision], configured.get(precision, PrecisionTolerance())
    return Tolerances(
        precision,
        changes.default or base.default,
        {**base.outputs, **changes.outputs},
        replace(base.boxes, **changes.boxes.model_dump(exclude_none=True)),
        replace(base.boxes2d, **changes.boxes2d.model_dump(exclude_none=True)),
        replace(base.classification, **changes.classification.model_dump(exclude_none=True)),
    )


def coarsest(precisions: Iterable[str | None]) -> Precision:
    """The coarsest of some precisions; what is unknown or no precision counts as fp32."""
    found = set(precisions)
    return next((name for name in reversed(PRECISIONS) if name in found), "fp32")
