"""The parameters of the nodes that take images, in one table each. This module knows no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from awml_deploy_ros.node import common_parameters as common
from awml_deploy_ros.node.model_settings import ModelSettings, common_settings
from awml_deploy_ros.parameter_spec import DURATION_MS, ParameterSpec, model_option, plain_table
from awml_deploy_ros.settings import cloud_columns

_SHARE = (0.0, 1.0)

YOLOX = plain_table(
    (
        *common.MODEL,
        ParameterSpec(
            "outputs",
            "string[]",
            ["frame", "debug"],
            "What to publish besides /diagnostics; detection2d needs vision_msgs.",
            choices=("frame", "debug", "detection2d"),
        ),
        ParameterSpec(
            "post_process_params.decoder",
            "string",
            None,
            "Decoding: mmdet (best class of a cell, suppression within a class) or autoware (every class, "
            "suppression regardless of class, whole pixels).",
            choices=("mmdet", "autoware"),
            read_only=False,
            option="decoder",
        ),
        model_option(
            "post_process_params.score_threshold",
            _SHARE,
            "Objectness times class score that a box has to exceed.",
        ),
        model_option(
            "post_process_params.nms_threshold",
            _SHARE,
            "IoU above which the box with the lower score is dropped.",
        ),
        model_option("post_process_params.max_detections", (1, 100000), "Most boxes of an image.", "int"),
        *common.DIAGNOSTICS,
        *common.SNIPPETS,
        *common.EVIDENCE,
    )
)
"""The parameters of the node ``yolox``."""

CALIBRATION_STATUS = plain_table(
    (
        *common.MODEL,
        ParameterSpec(
            "outputs",
            "string[]",
            ["debug"],
            "What to publish besides /diagnostics, where the result is.",
            choices=("debug",),
        ),
        *common.CLOUD,
        ParameterSpec(
            "image_is_rectified",
            "bool",
            False,
            "The images are rectified already (image_proc): their CameraInfo's P and R count, and no "
            "distortion.",
        ),
        ParameterSpec(
            "pairing.max_stamp_difference_ms",
            "double",
            50.0,
            "A cloud is judged with the image nearest in time, which may differ by this much [ms].",
            (0.0, 60000.0),
        ),
        ParameterSpec(
            "pairing.max_waiting_clouds",
            "int",
            5,
            "So many clouds wait for an image at or after their stamp; the oldest of more waits no longer.",
            (1, 100),
        ),
        ParameterSpec(
            "tf_timeout_ms",
            "double",
            50.0,
            "How long a frame waits for the transform from LiDAR to camera [ms]; 0 does not wait.",
            (0.0, 10000.0),
        ),
        ParameterSpec(
            "calibration.class_name",
            "string",
            "calibrated",
            "The model's class for a camera and a LiDAR that are where they are said to be.",
        ),
        ParameterSpec(
            "calibration.min_probability",
            "double",
            0.5,
            "A frame is miscalibrated if this class is less probable (WARN).",
            _SHARE,
        ),
        ParameterSpec(
            "calibration.max_consecutive_miscalibrated",
            "int",
            10,
            "So many miscalibrated frames in a row are an ERROR.",
            (1, 1000000),
        ),
        ParameterSpec(
            "calibration.max_age_ms",
            "double",
            5000.0,
            "Without a judgement for this long [ms], nothing is known of the calibration (WARN).",
            DURATION_MS,
        ),
        *common.DIAGNOSTICS,
        *common.SNIPPETS,
        *common.EVIDENCE,
    )
)
"""The parameters of the node ``calibration_status``."""


def yolox_settings(values: Mapping[str, Any]) -> ModelSettings:
    """Settings of the node ``yolox``.

    Raises:
        ParameterError: Any value is invalid; all problems are listed.
    """
    return ModelSettings(**common_settings(YOLOX, values))


@dataclass(frozen=True, kw_only=True)
class CalibrationLimits:
    """What the status ``<node>: calibration`` says when."""

    class_name: str
    min_probability: float
    max_consecutive_miscalibrated: int
    max_age_ms: float


@dataclass(frozen=True, kw_only=True)
class CalibrationSettings(ModelSettings):
    """Parameters of ``calibration_status`` that stay as they are while it is configured."""

    field_mapping: Mapping[str, str]
    """Field of the cloud by column: x, y, z and intensity."""
    check_is_dense: bool
    image_is_rectified: bool
    max_stamp_difference_ms: float
    max_waiting_clouds: int
    tf_timeout_ms: float
    limits: CalibrationLimits

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> CalibrationSettings:
        """Settings from the values of the parameters that are declared at start.

        Raises:
            ParameterError: Any value is invalid; all problems are listed.
        """
        columns, problems = cloud_columns(values)
        if "intensity" not in columns:
            problems.append("field_mapping.intensity: is empty, but the model needs the intensity")
        return cls(
            **common_settings(CALIBRATION_STATUS, values, problems),
            field_mapping=columns,
            check_is_dense=values["check_is_dense"],
            image_is_rectified=values["image_is_rectified"],
            max_stamp_difference_ms=values["pairing.max_stamp_difference_ms"],
            max_waiting_clouds=values["pairing.max_waiting_clouds"],
            tf_timeout_ms=values["tf_timeout_ms"],
            limits=CalibrationLimits(
                **{name: values[f"calibration.{name}"] for name in CalibrationLimits.__dataclass_fields__}
            ),
        )
