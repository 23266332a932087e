"""Stand-ins for message packages that PyPI does not have.

Each class has exactly the fields and constants of the public message and refuses others, so the
converters are checked field by field even where the package is not installed.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import pytest
from geometry_msgs.msg import Polygon, Pose, PoseWithCovariance, TwistWithCovariance, Vector3
from std_msgs.msg import Header


def _message(name: str, constants: dict[str, int] | None = None, **fields: Any) -> type:
    def init(self: Any, **values: Any) -> None:
        if unknown := set(values) - set(fields):
            raise AssertionError(f"{name} has no field {unknown}")
        for field, make in fields.items():
            setattr(self, field, values[field] if field in values else make())

    return type(name, (), {"__slots__": tuple(fields), "__init__": init, **(constants or {})})


def _autoware() -> list[type]:
    labels = ("UNKNOWN", "CAR", "TRUCK", "BUS", "TRAILER", "MOTORCYCLE", "BICYCLE", "PEDESTRIAN")
    classification = _message(
        "ObjectClassification", {n: i for i, n in enumerate(labels)}, label=int, probability=float
    )
    kinematics = _message(
        "DetectedObjectKinematics",
        {"UNAVAILABLE": 0, "SIGN_UNKNOWN": 1, "AVAILABLE": 2},
        pose_with_covariance=PoseWithCovariance,
        has_position_covariance=bool,
        orientation_availability=int,
        twist_with_covariance=TwistWithCovariance,
        has_twist=bool,
        has_twist_covariance=bool,
    )
    shape = _message(
        "Shape",
        {"BOUNDING_BOX": 0, "CYLINDER": 1, "POLYGON": 2},
        type=int,
        footprint=Polygon,
        dimensions=Vector3,
    )
    detected = _message(
        "DetectedObject",
        existence_probability=float,
        classification=list,
        kinematics=kinematics,
        shape=shape,
    )
    return [
        classification,
        kinematics,
        shape,
        detected,
        _message("DetectedObjects", header=Header, objects=list),
    ]


def _vision() -> list[type]:
    box = _message("BoundingBox3D", center=Pose, size=Vector3)
    hypothesis = _message("ObjectHypothesis", class_id=str, score=float)
    with_pose = _message("ObjectHypothesisWithPose", hypothesis=hypothesis, pose=PoseWithCovariance)
    detection = _message("Detection3D", header=Header, results=list, bbox=box, id=str)
    point = _message("Point2D", x=float, y=float)
    pose = _message("Pose2D", position=point, theta=float)
    flat_box = _message("BoundingBox2D", center=pose, size_x=float, size_y=float)
    return [
        box,
        hypothesis,
        with_pose,
        detection,
        _message("Detection3DArray", header=Header, detections=list),
        point,
        pose,
        flat_box,
        _message("Detection2D", header=Header, results=list, bbox=flat_box, id=str),
        _message("Detection2DArray", header=Header, detections=list),
    ]


PACKAGES = {"autoware_perception_msgs": _autoware, "vision_msgs": _vision}


def provide(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a message package importable for one test; an installed one is used as it is."""
    if package in sys.modules or find_spec(package) is not None:
        return
    parent, module = ModuleType(package), ModuleType(f"{package}.msg")
    for message in PACKAGES[package]():
        setattr(module, message.__name__, message)
    monkeypatch.setitem(sys.modules, package, parent)
    monkeypatch.setitem(sys.modules, f"{package}.msg", module)
