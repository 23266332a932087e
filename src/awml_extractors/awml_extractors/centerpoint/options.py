"""Run-time options of CenterPoint's post-processing, with Autoware's names and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from awml_deploy_core.errors import ParameterError

Score = Annotated[float, Field(ge=0.0, le=1.0)]
Distance = Annotated[float, Field(ge=0.0)]


class PostprocessOptions(BaseModel):
    """Thresholds of decoding and non-maximum suppression.

    ``decoder`` chooses the algorithm: ``autoware`` (every cell, thresholds by class and distance,
    circle NMS then rotated IoU NMS) or ``mmdet3d`` (top-K, one threshold, circle NMS against the
    squared distance). Both give the same box convention.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decoder: Literal["autoware", "mmdet3d"] = "autoware"

    distance_bin_upper_limits: tuple[Distance, ...] = (50.0, 90.0, 121.0, 200.0)
    """Upper limits [m] of the radial distance bins; a box beyond the last is dropped."""
    min_confidence_scores: dict[str, tuple[Score, ...]] = Field(default_factory=dict)
    """Score threshold by class name and bin; a class not named uses ``default_score_threshold``."""
    default_score_threshold: Score = 0.35
    yaw_norm_thresholds: dict[str, Score] = Field(
        default_factory=lambda: {"CAR": 0.3, "TRUCK": 0.3, "BUS": 0.3, "BICYCLE": 0.3, "PEDESTRIAN": 0.0}
    )
    """Least norm of the rot channels by class name; 0 for a class not named."""
    circle_nms_dist_threshold: Distance = 0.5
    """Centres nearer than this [m] suppress each other, regardless of class."""
    iou_nms_search_distance_2d: Distance = 10.0
    """Only centres nearer than this [m] are compared by IoU; 0 turns IoU NMS off."""
    iou_nms_threshold: Score = 0.1
    """Rotated BEV IoU above which the lower-scored box is dropped."""

    mmdet3d_pre_max: Annotated[int, Field(gt=0)] = 500
    mmdet3d_score_threshold: Score = 0.1
    mmdet3d_min_radius: Distance = 0.5
    """Compared with the squared distance [m^2], as mmdet3d does."""
    mmdet3d_post_max: Annotated[int, Field(gt=0)] = 100

    @model_validator(mode="after")
    def _check(self) -> PostprocessOptions:
        problems = []
        limits = self.distance_bin_upper_limits
        if not limits or list(limits) != sorted(set(limits)):
            problems.append(f"distance_bin_upper_limits must increase, got {limits}")
        problems += [
            f"min_confidence_scores.{name} has {len(scores)} values, expected one a bin ({len(limits)})"
            for name, scores in self.min_confidence_scores.items()
            if len(scores) != len(limits)
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def merged(self, changes: Mapping[str, Any]) -> PostprocessOptions:
        """These options with some changed, validated as a whole.

        A mapping by class changes the classes it names and leaves the others.

        Raises:
            ParameterError: Any option is unknown or invalid; all problems are listed.
        """
        merged = self.model_dump()
        for name, value in changes.items():
            by_class = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
            merged[name] = {**merged[name], **value} if by_class else value
        try:
            return PostprocessOptions.model_validate(merged)
        except ValidationError as error:
            problems = [
                f"{'.'.join(str(part) for part in item['loc']) or 'options'}: {item['msg']}, "
                f"got {item['input']!r}"
                for item in error.errors()
            ]
            raise ParameterError("post-processing options", "are invalid", problems=problems) from None
