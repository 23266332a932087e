"""Run-time options of CenterPoint's post-processing, with Autoware's names and defaults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from awml_deploy_core.errors import ParameterError
from awml_deploy_core.validation import problem_clauses
from awml_extractors.centerpoint.class_remapper import RemapRule, default_rules
from awml_extractors.pipeline_choice import PipelineChoice

Score = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Distance = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]

_BY_CLASS = ("min_confidence_scores", "yaw_norm_thresholds")
_YAW_NORMS = {"CAR": 0.3, "TRUCK": 0.3, "BUS": 0.3, "BICYCLE": 0.3, "PEDESTRIAN": 0.0}
ValueT = TypeVar("ValueT")


class PostprocessOptions(BaseModel):
    """Thresholds of decoding and non-maximum suppression, and what follows them.

    ``decoder`` chooses the algorithm: ``autoware`` (every cell, thresholds by class and distance,
    circle NMS then rotated IoU NMS) or ``mmdet3d`` (top-K, one threshold, circle NMS against the
    squared distance). Both give the same box convention. Classes are named in any case.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decoder: Literal["autoware", "mmdet3d"] = "autoware"
    """`autoware`: every cell above its threshold, then both NMS; `mmdet3d`: the best cells, one NMS."""

    distance_bin_upper_limits: tuple[Distance, ...] = (50.0, 90.0, 121.0, 200.0)
    """Upper limits [m] of the radial distance bins; a box beyond the last is dropped."""
    min_confidence_scores: dict[str, tuple[Score, ...]] = Field(default_factory=dict)
    """Score threshold by class name and bin; a class not named uses ``default_score_threshold``."""
    default_score_threshold: Score = 0.35
    """Score threshold of classes without their own, in every bin."""
    yaw_norm_thresholds: dict[str, Score] = Field(default_factory=lambda: dict(_YAW_NORMS))
    """Least norm of the rot channels by class name; 0 for a class not named."""
    circle_nms_dist_threshold: Distance = 0.5
    """Centres nearer than this [m] suppress each other, regardless of class."""
    iou_nms_search_distance_2d: Distance = 10.0
    """Only centres nearer than this [m] are compared by IoU; 0 turns IoU NMS off."""
    iou_nms_threshold: Score = 0.1
    """Rotated BEV IoU above which the lower-scored box is dropped."""

    mmdet3d_pre_max: Annotated[int, Field(gt=0)] = 500
    """Cells with the highest scores that become boxes."""
    mmdet3d_score_threshold: Score = 0.1
    """Least score of a box, for all classes."""
    mmdet3d_min_radius: Distance = 0.5
    """Compared with the squared distance [m^2], as mmdet3d does."""
    mmdet3d_post_max: Annotated[int, Field(gt=0)] = 100
    """Most boxes that are left after NMS."""

    class_remapper: tuple[RemapRule, ...] | None = None
    """Classes that change with the area of the box, as Autoware's class remapper does it.

    A bundle holds its own. Empty: none. Unset: the rules that Autoware installs (CAR to TRUCK from
    12.1 m^2, CAR, TRUCK and BUS to TRAILER from 36 m^2) for a model that has Autoware's classes and
    no TRAILER, none for others.
    """
    remap_classes: bool | None = None
    """Whether ``class_remapper`` is applied, after suppression; scores stay. Unset: with decoder
    ``autoware`` only, as on the vehicle.

    The classes that boxes can become are then classes of the output. Set false to measure the model
    against annotations that do not have them: a box that became a TRAILER matches no TRUCK.
    """

    pipeline: PipelineChoice = "auto"
    """Where the frame is outside of the network: on the GPU (`device`), on the CPU (`host`), or where the
    network is (`auto`).

    It takes effect when the model is opened. Boxes are the same.
    """

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
        for key in _BY_CLASS:
            counts = Counter(name.upper() for name in getattr(self, key))
            problems += [f"{key} names {name} {count} times" for name, count in counts.items() if count > 1]
        pairs = Counter((rule.source, rule.target) for rule in self.class_remapper or ())
        problems += [
            f"class_remapper has {count} rules from {source} to {target}"
            for (source, target), count in pairs.items()
            if count > 1
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def score_thresholds(self, class_name: str) -> tuple[float, ...]:
        """Score threshold of a class in every distance bin."""
        default = (self.default_score_threshold,) * len(self.distance_bin_upper_limits)
        return _of_class(self.min_confidence_scores, class_name, default)

    def yaw_norm_threshold(self, class_name: str) -> float:
        """Least norm of the rot channels of a class."""
        return _of_class(self.yaw_norm_thresholds, class_name, 0.0)

    @property
    def remap_rules(self) -> tuple[RemapRule, ...]:
        """The rules to apply: none where remapping is off."""
        applied = self.decoder == "autoware" if self.remap_classes is None else self.remap_classes
        return (self.class_remapper or ()) if applied else ()

    def for_classes(self, class_names: Sequence[str]) -> PostprocessOptions:
        """These options with the class remapper written out that a model of these classes has."""
        if self.class_remapper is not None:
            return self
        return self.model_copy(update={"class_remapper": default_rules(class_names)})

    def unknown_classes(self, class_names: Sequence[str]) -> list[str]:
        """One clause for every threshold that names no class of the model.

        The names of the default thresholds are known, as they stay when a model lacks the class.
        """
        known = {name.upper() for name in class_names}
        return [
            f"{key}.{name}: is not a class of the model ({', '.join(class_names)})"
            for key, names in (
                ("min_confidence_scores", known),
                ("yaw_norm_thresholds", known | {*_YAW_NORMS}),
            )
            for name in getattr(self, key)
            if name.upper() not in names
        ]

    def merged(self, changes: Mapping[str, Any], class_names: Sequence[str]) -> PostprocessOptions:
        """These options with some changed, validated as a whole.

        A mapping by class changes the classes it names and leaves the others.

        Args:
            changes: Values by option.
            class_names: The classes of the model.

        Raises:
            ParameterError: Any option is unknown or invalid, or a changed threshold names no class;
                all problems are listed.
        """
        merged = self.model_dump()
        problems = list(self._strange_names(changes, class_names))
        for name, value in changes.items():
            merged[name] = value
            if name in _BY_CLASS and isinstance(value, Mapping):
                renamed = {str(key).upper() for key in value}
                kept = {k: v for k, v in getattr(self, name).items() if k.upper() not in renamed}
                merged[name] = {**kept, **value}
        try:
            options = PostprocessOptions.model_validate(merged)
        except ValidationError as error:
            problems += problem_clauses(error, PostprocessOptions)
        if problems:
            raise ParameterError("post-processing options", "are invalid", problems=problems)
        return options.for_classes(class_names)

    def _strange_names(self, changes: Mapping[str, Any], class_names: Sequence[str]) -> Iterator[str]:
        known = {name.upper() for name in class_names}
        for key in _BY_CLASS:
            value, current = changes.get(key), getattr(self, key)
            if not isinstance(value, Mapping):
                continue
            for name, threshold in value.items():
                # Options in force may be given back as they are.
                in_force = name in current and threshold == current[name]
                if str(name).upper() not in known and not in_force:
                    yield f"{key}.{name}: is not a class of the model ({', '.join(class_names)})"


def _of_class(values: Mapping[str, ValueT], class_name: str, default: ValueT) -> ValueT:
    return next((value for name, value in values.items() if name.upper() == class_name.upper()), default)
