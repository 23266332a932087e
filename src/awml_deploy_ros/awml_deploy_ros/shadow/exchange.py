"""Inputs and results between the node and its reference process: lines of JSON, arrays in the arena."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import ProcessError
from awml_deploy_core.points import PointCloudFrame, PointColumns, Sweep
from awml_deploy_ros.shadow.arena import Arena

_COLUMNS = ("x", "y", "z", "intensity")
_BOX_ARRAYS = ("centers", "sizes", "yaws", "velocities", "scores", "labels")


class Codec(Protocol):
    """How the samples and outputs of one task travel."""

    def encode(self, sample: Any, output: Any, arena: Arena) -> dict[str, Any]:
        """Put a sample and the live output into the arena; return the rest, JSON-ready."""
        ...

    def decode(self, message: Mapping[str, Any], arena: Arena) -> tuple[Any, Any]:
        """The sample and the live output."""
        ...


class PointCloudCodec:
    """PointCloudFrame and Detections."""

    def encode(self, sample: PointCloudFrame, output: Detections, arena: Arena) -> dict[str, Any]:
        arrays = [getattr(output, name) for name in _BOX_ARRAYS]
        sweeps = []
        for sweep in sample.sweeps:
            columns = {name: getattr(sweep.columns, name) for name in _COLUMNS}
            present = [name for name, column in columns.items() if column is not None]
            arrays += [columns[name] for name in present]
            transform = None if sweep.transform is None else sweep.transform.tolist()
            sweeps.append({"columns": present, "time_lag": sweep.time_lag, "transform": transform})
        places = arena.write(arrays)
        boxes = dict(zip(_BOX_ARRAYS, places, strict=False))
        rest = iter(places[len(_BOX_ARRAYS) :])
        for entry in sweeps:
            entry["columns"] = {name: next(rest) for name in entry["columns"]}
        return {
            "boxes": boxes,
            "class_names": list(output.class_names),
            "has_velocity": output.has_velocity,
            "sweeps": sweeps,
            "frame_id": sample.frame_id,
            "stamp_ns": sample.stamp_ns,
        }

    def decode(self, message: Mapping[str, Any], arena: Arena) -> tuple[PointCloudFrame, Detections]:
        boxes = Detections(
            **{name: arena.read(place) for name, place in message["boxes"].items()},
            class_names=tuple(message["class_names"]),
            has_velocity=message["has_velocity"],
        )
        sweeps = tuple(
            Sweep(
                PointColumns(**{name: arena.read(place) for name, place in entry["columns"].items()}),
                entry["time_lag"],
                None if entry["transform"] is None else np.array(entry["transform"], np.float64),
            )
            for entry in message["sweeps"]
        )
        return PointCloudFrame(sweeps, message["frame_id"], message["stamp_ns"]), boxes


CODECS: Mapping[str, Codec] = {"detection3d": PointCloudCodec()}
"""By the task of the model's family."""


def codec_of(task: str) -> Codec:
    """The codec of a task.

    Raises:
        ProcessError: Frames of this task cannot be given to a reference process.
    """
    if task not in CODECS:
        raise ProcessError(
            "shadow verification",
            "is not available for this task",
            got=task,
            expected=" or ".join(CODECS),
            hint="Set shadow.every_n to 0.",
        )
    return CODECS[task]
