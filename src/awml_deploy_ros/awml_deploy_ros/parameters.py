"""The parameters of the node ``centerpoint``, in one table.

The node declares them from here, the launch file makes its arguments from here and the
documentation lists them from here. This module knows no ROS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from awml_deploy_ros.node import common_parameters as common
from awml_deploy_ros.parameter_spec import (
    DURATION_MS,
    ParameterSpec,
    ParameterTable,
    model_option,
    plain_model_specs,
    plain_options,
)

OUTPUT_NAMES = ("frame", "markers", "debug", "detected_objects", "detection3d")
ON_MISSING_TF = ("single_sweep", "drop")
CLASS_SCORES_PREFIX = "detection_score_thresholds.min_confidence_scores"
"""Parameters below this prefix are declared for every class of the model once it is loaded."""
CLASS_SCORES_OPTION = "min_confidence_scores"

_DISTANCE = (0.0, 1000.0)
_SCORE = (0.0, 1.0)

TABLE: tuple[ParameterSpec, ...] = (
    *common.MODEL,
    ParameterSpec(
        "outputs",
        "string[]",
        ["frame", "markers", "debug"],
        "What to publish besides /diagnostics; detected_objects needs autoware_perception_msgs, "
        "detection3d needs vision_msgs.",
        choices=OUTPUT_NAMES,
    ),
    *common.CLOUD,
    ParameterSpec("markers.lifetime_ms", "double", 500.0, "Lifetime of a marker [ms].", DURATION_MS),
    ParameterSpec(
        "densification_params.num_past_frames",
        "int",
        1,
        "Past sweeps given to the model with the current one; 0 needs no transforms.",
        (0, 20),
        launch_argument=True,
    ),
    ParameterSpec(
        "densification_params.world_frame_id",
        "string",
        "map",
        "Frame fixed to the world, by way of which past sweeps are moved into the current frame.",
    ),
    ParameterSpec(
        "densification_params.max_past_sweep_age_ms",
        "double",
        500.0,
        "Past sweeps older than this [ms] are not used.",
        DURATION_MS,
    ),
    ParameterSpec(
        "densification_params.tf_timeout_ms",
        "double",
        50.0,
        "How long a frame waits for a transform that is late [ms]; 0 does not wait.",
        (0.0, 10000.0),
    ),
    ParameterSpec(
        "densification_params.on_missing_tf",
        "string",
        "single_sweep",
        "Without a transform: single_sweep runs the current sweep alone and says so in the record, drop "
        "counts the cloud as dropped.",
        choices=ON_MISSING_TF,
    ),
    ParameterSpec(
        "post_process_params.decoder",
        "string",
        None,
        "Decoding: autoware (every cell, thresholds by class and distance) or mmdet3d (top K).",
        choices=("autoware", "mmdet3d"),
        read_only=False,
        option="decoder",
    ),
    model_option(
        "post_process_params.circle_nms_dist_threshold",
        _DISTANCE,
        "Boxes whose centres are nearer than this [m] suppress each other.",
    ),
    model_option(
        "post_process_params.iou_nms_search_distance_2d",
        _DISTANCE,
        "Only boxes whose centres are nearer than this [m] are compared by IoU; 0 turns it off.",
    ),
    model_option(
        "post_process_params.iou_nms_threshold",
        _SCORE,
        "Rotated bird's-eye-view IoU above which the box with the lower score is dropped.",
    ),
    model_option(
        "post_process_params.mmdet3d_score_threshold",
        _SCORE,
        "Least score with decoder mmdet3d.",
    ),
    model_option(
        "post_process_params.mmdet3d_min_radius",
        _DISTANCE,
        "Squared distance [m^2] of circle NMS with decoder mmdet3d.",
    ),
    ParameterSpec(
        "detection_score_thresholds.distance_bin_upper_limits",
        "double[]",
        None,
        "Upper limits [m] of the radial distance bins; a box beyond the last is dropped.",
        _DISTANCE,
        read_only=False,
        option="distance_bin_upper_limits",
    ),
    *common.DIAGNOSTICS,
    *common.SHADOW,
    *common.SNIPPETS,
    *common.EVIDENCE,
)

BY_NAME: Mapping[str, ParameterSpec] = MappingProxyType({spec.name: spec for spec in TABLE})


def class_score_spec(class_name: str, scores: Sequence[float]) -> ParameterSpec:
    """The parameter that holds the score thresholds of one class, one value a distance bin."""
    return ParameterSpec(
        f"{CLASS_SCORES_PREFIX}.{class_name}",
        "double[]",
        list(scores),
        f"Least score of {class_name}, one value a distance bin.",
        _SCORE,
        read_only=False,
        option=CLASS_SCORES_OPTION,
    )


def model_specs(options: Mapping[str, Any]) -> tuple[ParameterSpec, ...]:
    """Parameters whose defaults are the options of a loaded model."""
    plain = plain_model_specs(TABLE, options)
    scores = options.get(CLASS_SCORES_OPTION, {})
    return (*plain, *(class_score_spec(name, values) for name, values in scores.items()))


def pipeline_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Run-time options of the pipeline from parameter values; other parameters are left out."""
    options = plain_options(TABLE, values)
    for name, value in values.items():
        if name.startswith(f"{CLASS_SCORES_PREFIX}."):
            class_name = name.removeprefix(f"{CLASS_SCORES_PREFIX}.")
            options.setdefault(CLASS_SCORES_OPTION, {})[class_name] = value
    return options


CENTERPOINT = ParameterTable(TABLE, model_specs, pipeline_options)
"""The parameters of the node ``centerpoint``."""

AT_START = CENTERPOINT.at_start
"""What the node declares before a model is loaded."""
