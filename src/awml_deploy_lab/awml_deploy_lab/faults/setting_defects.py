"""Defects of the configuration and of the files that the vehicle's node reads."""

from __future__ import annotations

from typing import Any

from awml_deploy_lab.faults.defect import Change, Defect
from awml_deploy_lab.faults.deployment import PARAMETERS, Deployment

REMAPPER = "detection_class_remapper.param.yaml"
_SWAPPED = ["CAR", "BUS", "TRUCK", "BICYCLE", "PEDESTRIAN"]
_SHIFTED = [-51.2, -51.2, -4.0, 51.2, 51.2, 4.0]


def _configured(**values: Any) -> Change:
    return lambda deployment: deployment.configure(**values)


def _everywhere(**values: Any) -> Change:
    """In the configuration and the manifest, without another export."""

    def plant(deployment: Deployment) -> None:
        deployment.configure(**values)
        deployment.edit_manifest(lambda manifest: manifest["model"].update(values))

    return plant


def _vehicle(**values: Any) -> Change:
    """In the model parameters that the vehicle's node reads."""
    return lambda deployment: deployment.edit_parameters(
        PARAMETERS, lambda content: content["model_params"].update(values)
    )


def _other_remapper(deployment: Deployment) -> None:
    def change(content: dict[str, Any]) -> None:
        content["max_area_matrix"][10] = 15.0

    deployment.edit_parameters(REMAPPER, change)


def _another_models_parameters(deployment: Deployment) -> None:
    """Those of Autoware's base model."""
    _vehicle(
        point_cloud_range=[-76.8, -76.8, -4.0, 76.8, 76.8, 6.0],
        voxel_size=[0.32, 0.32, 10.0],
        downsample_factor=1,
        max_voxel_size=40000,
    )(deployment)


CONFIGURATION_DEFECTS = (
    Defect(
        "wrong voxel size",
        "configuration",
        _configured(voxel_size=[0.64, 0.64, 8.0]),
        "bundle",
        ("voxel_size", "0.64"),
    ),
    Defect(
        "wrong range",
        "configuration",
        _configured(point_cloud_range=_SHIFTED),
        "bundle",
        ("point_cloud_range",),
    ),
    Defect(
        "wrong class order", "configuration", _configured(class_names=_SWAPPED), "bundle", ("class_names",)
    ),
    Defect(
        "fewer points a pillar",
        "configuration",
        _configured(max_points_per_voxel=20),
        "bundle",
        ("max_points_per_voxel", "20"),
    ),
    Defect(
        "intensity scaled to [0, 1]",
        "configuration",
        _configured(intensity_scale=1 / 255),
        "bundle",
        ("intensity_scale",),
    ),
    Defect(
        "points of a full pillar in another order",
        "configuration",
        _configured(point_order="sequential"),
        "bundle",
        ("point_order", "sequential"),
    ),
    Defect(
        "the NMS distance is squared already",
        "configuration",
        _configured(postprocess__circle_nms_dist_threshold=0.25),
        "bundle",
        ("postprocess", "circle_nms_dist_threshold"),
    ),
    Defect(
        "another score threshold",
        "configuration",
        _configured(postprocess__default_score_threshold=0.25),
        "bundle",
        ("postprocess", "default_score_threshold"),
    ),
    Defect(
        "another rot convention",
        "configuration",
        _configured(head_convention={"dim_order": "lwh", "rot_encoding": "sin_cos"}),
        "bundle",
        ("head_convention", "sin_cos"),
    ),
    Defect(
        "wrong class order, in the manifest too",
        "configuration",
        _everywhere(class_names=_SWAPPED),
        "load",
        ("class_names", "CAR,BUS,TRUCK"),
    ),
    Defect(
        "wrong range, in the manifest too",
        "configuration",
        _everywhere(point_cloud_range=_SHIFTED),
        "load",
        ("point_cloud_range",),
    ),
    Defect(
        "a required backend that is not there",
        "configuration",
        lambda deployment: deployment.settings.append(
            'verification.scenarios=[{reference: "pytorch:cpu", test: "onnxruntime:cpu"}, '
            '{reference: "pytorch:cpu", test: "tensorrt:cpu"}]'
        ),
        "scenario",
        ("tensorrt",),
    ),
)

VEHICLE_DEFECTS = (
    Defect(
        "wrong voxel size",
        "parameters",
        _vehicle(voxel_size=[0.16, 0.16, 8.0], downsample_factor=4),
        "bundle",
        (PARAMETERS, "voxel_size"),
    ),
    Defect(
        "wrong class order",
        "parameters",
        _vehicle(class_names=_SWAPPED),
        "bundle",
        (PARAMETERS, "class_names"),
    ),
    Defect(
        "wrong range",
        "parameters",
        _vehicle(point_cloud_range=_SHIFTED),
        "bundle",
        (PARAMETERS, "point_cloud_range"),
    ),
    Defect(
        "fewer pillars",
        "parameters",
        _vehicle(max_voxel_size=2000),
        "bundle",
        (PARAMETERS, "max_voxel_size", "2000"),
    ),
    Defect("no velocities", "parameters", _vehicle(has_twist=False), "bundle", (PARAMETERS, "has_twist")),
    Defect(
        "another score threshold",
        "parameters",
        lambda deployment: deployment.edit_parameters(
            PARAMETERS,
            lambda content: content["model_params"]["detection_score_thresholds"][
                "min_confidence_scores"
            ].update(CAR=[0.5, 0.35, 0.35, 0.35]),
        ),
        "bundle",
        (PARAMETERS, "min_confidence_scores", "CAR"),
    ),
    Defect(
        "another area makes a car a truck",
        "parameters",
        _other_remapper,
        "bundle",
        (REMAPPER, "max_area_matrix"),
    ),
    Defect(
        "the parameters are another model's",
        "parameters",
        _another_models_parameters,
        "bundle",
        (PARAMETERS, "point_cloud_range", "voxel_size"),
    ),
    Defect(
        "the convention for tools says (sin, cos)",
        "parameters",
        lambda deployment: deployment.edit_parameters(
            "deploy_metadata.yaml",
            lambda content: content["centerpoint"]["head_convention"].update(rot_encoding="sin_cos"),
        ),
        "bundle",
        ("deploy_metadata.yaml", "rot_encoding"),
    ),
)

SETTING_DEFECTS = (*CONFIGURATION_DEFECTS, *VEHICLE_DEFECTS)
