"""Defects of the code between the components, which every backend shares: only what is known beforehand
can find them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_lab.faults.defect import Change, Defect
from awml_deploy_lab.faults.deployment import Deployment
from awml_extractors.centerpoint import nms, pipeline
from awml_extractors.centerpoint.class_remapper import ClassRemapper
from awml_extractors.centerpoint.pillars import Pillars, Voxelizer
from awml_extractors.centerpoint.scatter import PillarScatter

FrameChange = Callable[[PointCloudFrame], PointCloudFrame]


def _decoded(change: Callable[[Any], Any]) -> Change:
    """Change the boxes that either decoder gives."""

    def plant(deployment: Deployment) -> None:
        for name in ("decode_autoware", "decode_mmdet3d"):
            deployment.replace_code(pipeline, name, wrap)

    def wrap(original: Any) -> Any:
        def changed(*arguments: Any) -> Any:
            found = original(*arguments)
            return replace(found, detections=change(found.detections))

        return changed

    return plant


def _frame(change: FrameChange) -> Change:
    """Change the points before they become pillars."""

    def wrap(original: Any) -> Any:
        return lambda self, frame: original(self, change(frame))

    return lambda deployment: deployment.replace_code(Voxelizer, "voxelize", wrap)


def _features(change: Callable[[np.ndarray[Any, Any]], Any]) -> Change:
    """Change the decorated points of the pillars."""

    def wrap(original: Any) -> Any:
        def voxelize(self: Voxelizer, frame: PointCloudFrame) -> Pillars:
            pillars: Pillars = original(self, frame)
            features = pillars.features.copy()
            features[pillars.features[..., :3].any(axis=-1)] = change(
                features[pillars.features[..., :3].any(axis=-1)]
            )
            return replace(pillars, features=features)

        return voxelize

    return lambda deployment: deployment.replace_code(Voxelizer, "voxelize", wrap)


def _scattered(change: Callable[[Any, Any, Any], Any]) -> Change:
    def wrap(original: Any) -> Any:
        return lambda self, features, coordinates: change(
            lambda f, c: original(self, f, c), features, coordinates
        )

    return lambda deployment: deployment.replace_code(PillarScatter, "scatter", wrap)


def _twice(detections: Any) -> Any:
    scores = 1 / (1 + np.exp(-detections.scores.astype(np.float64)))
    return replace(detections, scores=scores.astype(np.float32))


def _geometry(name: str, change: Callable[[Any], Any]) -> Change:
    return _decoded(
        lambda found: replace(
            found, **{name: np.ascontiguousarray(change(getattr(found, name)), np.float32)}
        )
    )


def _at_the_bottom(found: Any) -> Any:
    centers = found.centers.copy()
    centers[:, 2] -= found.sizes[:, 2] / 2
    return replace(found, centers=centers)


def _time_lag(factor: float) -> FrameChange:
    def change(frame: PointCloudFrame) -> PointCloudFrame:
        sweeps = tuple(replace(sweep, time_lag=sweep.time_lag * factor) for sweep in frame.sweeps)
        return replace(frame, sweeps=sweeps)

    return change


def _unmoved(frame: PointCloudFrame) -> PointCloudFrame:
    return replace(frame, sweeps=tuple(replace(sweep, transform=None) for sweep in frame.sweeps))


def _swapped_xy(frame: PointCloudFrame) -> PointCloudFrame:
    def swap(c: PointColumns) -> PointColumns:
        return PointColumns(c.y, c.x, c.z, c.intensity)

    return replace(frame, sweeps=tuple(replace(s, columns=swap(s.columns)) for s in frame.sweeps))


def _stale(deployment: Deployment) -> None:
    """Nothing of the frame before is cleared from the canvas."""

    def wrap(original: Any) -> Any:
        def scatter(self: PillarScatter, features: Any, coordinates: Any) -> Any:
            self._written = 0
            return original(self, features, coordinates)

        return scatter

    deployment.replace_code(PillarScatter, "scatter", wrap)


def _unit_of_distance(deployment: Deployment) -> None:
    """The limit of the distance is compared with its square."""

    def wrap(original: Any) -> Any:
        return lambda centers, squared, **more: original(centers, float(np.sqrt(squared)), **more)

    deployment.replace_code(nms, "circle_nms", wrap)


def _keeps_everything(deployment: Deployment) -> None:
    deployment.replace_code(pipeline, "suppress", lambda _: lambda found, __: found)


def _offset(first: int, count: int, value: float) -> Callable[[Any], Any]:
    def change(points: Any) -> Any:
        points[:, first : first + count] += np.float32(value)
        return points

    return change


CODE_DEFECTS = (
    Defect(
        "the sigmoid is applied twice", "code", _decoded(_twice), "probe", ("the sigmoid is applied twice",)
    ),
    Defect(
        "length and width are swapped",
        "code",
        _geometry("sizes", lambda size: size[:, [1, 0, 2]]),
        "probe",
        ("length and width are swapped",),
    ),
    Defect(
        "the yaw has the opposite sign",
        "code",
        _geometry("yaws", lambda yaw: -yaw),
        "probe",
        ("the yaw has the opposite sign",),
    ),
    Defect(
        "the yaw is in Autoware's convention",
        "code",
        _geometry("yaws", lambda yaw: -yaw - np.pi / 2),
        "probe",
        ("the yaw is -yaw - pi/2",),
    ),
    Defect(
        "all boxes head the other way",
        "code",
        _geometry("yaws", lambda yaw: yaw + np.pi),
        "probe",
        ("the yaw is turned by half a turn",),
    ),
    Defect(
        "vx and vy are swapped",
        "code",
        _geometry("velocities", lambda v: v[:, ::-1]),
        "probe",
        ("vx and vy are swapped",),
    ),
    Defect(
        "velocities have the opposite sign",
        "code",
        _geometry("velocities", lambda v: -v),
        "probe",
        ("velocities have the opposite sign",),
    ),
    Defect(
        "z is that of the bottom", "code", _decoded(_at_the_bottom), "probe", ("z is that of the bottom",)
    ),
    Defect(
        "the out size factor is forgotten",
        "code",
        _geometry("centers", lambda c: np.column_stack([(c[:, :2] + 51.2) / 2 - 51.2, c[:, 2]])),
        "probe",
        ("x is scaled by 0.5",),
    ),
    Defect(
        "centres are those of the cells' corners",
        "code",
        _geometry("centers", lambda c: c - [0.32, 0.32, 0.0]),
        "probe",
        ("x is shifted by -0.32 m",),
    ),
    Defect(
        "x and y of the boxes are swapped",
        "code",
        _geometry("centers", lambda c: c[:, [1, 0, 2]]),
        "probe",
        ("x and y are swapped",),
    ),
    Defect(
        "labels are one too high",
        "code",
        _decoded(lambda found: replace(found, labels=(found.labels + 1) % 5)),
        "probe",
        ("classes changed", "CAR became TRUCK"),
    ),
    Defect(
        "NMS compares the squared distance with the distance",
        "code",
        _unit_of_distance,
        "probe",
        ("suppression",),
    ),
    Defect("NMS is left out", "code", _keeps_everything, "probe", ("suppression",)),
    Defect(
        "classes are not remapped",
        "code",
        lambda deployment: deployment.replace_code(
            ClassRemapper, "remap", lambda _: lambda self, found: found
        ),
        "probe",
        ("class remapper",),
    ),
    Defect(
        "the time lag has the opposite sign",
        "code",
        _frame(_time_lag(-1.0)),
        "probe",
        ("points into pillars", "input_features"),
    ),
    Defect(
        "the time lag is in milliseconds",
        "code",
        _frame(_time_lag(1000.0)),
        "probe",
        ("points into pillars", "input_features"),
    ),
    Defect(
        "past sweeps are not moved into the current frame",
        "code",
        _frame(_unmoved),
        "probe",
        ("points into pillars", "input_features"),
    ),
    Defect(
        "x and y of the points are swapped",
        "code",
        _frame(_swapped_xy),
        "probe",
        ("points into pillars", "input_features"),
    ),
    Defect(
        "the centre of a pillar is half a voxel off",
        "code",
        _features(_offset(7, 2, 0.16)),
        "probe",
        ("points into pillars", "input_features"),
    ),
    Defect(
        "features are in another order",
        "code",
        _features(lambda points: points[:, [0, 1, 2, 3, 7, 8, 4, 5, 6]]),
        "probe",
        ("points into pillars", "input_features"),
    ),
    Defect(
        "the canvas is transposed",
        "code",
        _scattered(lambda scatter, features, places: scatter(features, places[:, ::-1].copy())),
        "probe",
        ("points into pillars", "spatial_features"),
    ),
    Defect(
        "pillars of the frame before stay on the canvas",
        "code",
        _stale,
        "repeat",
        ("spatial_features",),
    ),
)
