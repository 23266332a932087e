"""Simulated sweeps as an info file with clouds, the form in which AWML keeps data sets."""

from __future__ import annotations

import os
import pickle
import re
import tempfile
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from awml_deploy_core.errors import DatasetError
from awml_deploy_core.files import fsync_tree, io_errors, write_bytes
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_lab.simulation.sweep import SimulatedSweep

BASE_FRAME = "base_link"

_IDENTITY = np.eye(4).tolist()
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_PAUSE_NS = 1_000_000_000


class InfoRecorder:
    """Collects the entries of an info file, one a sweep; memory is taken by boxes, not by points.

    A drive ends where the stamp goes back, or on by more than a second: past sweeps never come
    from another drive.
    """

    def __init__(self, max_past_sweeps: int = 0) -> None:
        self._entries: list[dict[str, Any]] = []
        self._past: deque[dict[str, Any]] = deque(maxlen=max_past_sweeps)
        self._class_names: tuple[str, ...] | None = None
        self._last_ns: int | None = None
        self._drive = -1

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, sweep: SimulatedSweep, lidar_path: str | None = None) -> None:
        """Record a sweep, with the file of its cloud in ``base_link`` if there is one.

        Raises:
            DatasetError: Its classes are not those of earlier sweeps.
        """
        names = sweep.ground_truth.boxes.class_names
        if self._class_names is None:
            self._class_names = names
        elif names != self._class_names:
            raise DatasetError(
                f"sweep {len(self)}", "other classes than before", got=names, expected=self._class_names
            )
        stamp_ns = int(sweep.stamp_ns)
        if self._last_ns is None or not 0 < stamp_ns - self._last_ns <= _LONGEST_PAUSE_NS:
            self._drive += 1
            self._past.clear()
        self._last_ns = stamp_ns
        points: dict[str, Any] = {"num_pts_feats": 5, "lidar2ego": _IDENTITY}
        if lidar_path is not None:
            points["lidar_path"] = lidar_path
        stamped = {
            "timestamp": stamp_ns * 1e-9,
            # What a float cannot hold: reading it back gives the stamp of a message exactly.
            "stamp_ns": stamp_ns,
            "ego2global": sweep.pose.tolist(),
        }
        self._entries.append(
            {
                "sample_idx": len(self),
                "token": f"{self._drive:04d}_{stamp_ns}",
                "scene_token": f"{self._drive:04d}",
                **stamped,
                "lidar_points": points,
                "lidar_sweeps": [_as_past(past, sweep) for past in self._past],
                "instances": _instances(sweep.ground_truth),
            }
        )
        self._past.appendleft({**stamped, "lidar_points": points})

    def write(self, path: Path) -> None:
        """Write the info file, which appears complete or not at all.

        Raises:
            DatasetError: There is no sweep.
            ArtifactError: The file cannot be written.
        """
        if self._class_names is None:
            raise DatasetError(path, "no sweep to write")
        metainfo = {
            "categories": {name: label for label, name in enumerate(self._class_names)},
            "dataset": "simulation",
            "info_version": "1.1",
            "frame_id": BASE_FRAME,
        }
        content = {"metainfo": metainfo, "data_list": self._entries}
        write_bytes(path, pickle.dumps(content, protocol=4))


def write_infos(
    folder: Path, sweeps: Iterable[SimulatedSweep], name: str, *, max_past_sweeps: int = 10
) -> Path:
    """Write ``infos_<name>.pkl`` and ``lidar/<name>/NNNNNN.pcd.bin`` into a folder.

    Clouds are float32 [N, 5] records x, y, z [m] in ``base_link``, ego motion removed, intensity 0
    to 255 and beam. Sweeps may be those of several drives, one after the other. The info file,
    which appears last, is what makes the data set complete; a folder may hold several of them.

    Args:
        folder: Made if need be.
        sweeps: May be a generator.
        name: Of the split, e.g. ``train``.
        max_past_sweeps: Past sweeps that an entry lists, the latest first.

    Returns:
        The path of the info file.

    Raises:
        DatasetError: The name is no plain word, the split exists, there is no sweep, or one has no
            point or other classes than the first.
        ArtifactError: A file cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise DatasetError(
            "name of the split", "no plain word", got=repr(name), expected="letters, digits, _ and -"
        )
    info_path, clouds = folder / f"infos_{name}.pkl", folder / "lidar" / name
    for path in (info_path, clouds):
        if path.exists():
            raise DatasetError(path, "exists already", hint="Remove it or choose another name.")
    recorder = InfoRecorder(max_past_sweeps)
    with io_errors(clouds, "cannot be written"):
        clouds.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=clouds.parent) as scratch:
            written = Path(scratch) / name
            written.mkdir()
            for index, sweep in enumerate(sweeps):
                file = f"{index:06d}.pcd.bin"
                (written / file).write_bytes(_records(index, sweep))
                recorder.add(sweep, (clouds / file).relative_to(folder).as_posix())
            if not len(recorder):
                raise DatasetError(info_path, "no sweep to write")
            fsync_tree(Path(scratch))
            os.replace(written, clouds)
    recorder.write(info_path)
    return info_path


def _records(index: int, sweep: SimulatedSweep) -> bytes:
    if not len(sweep.xyz):
        raise DatasetError(f"sweep {index}", "has no point")
    records = np.empty((len(sweep.xyz), 5), "<f4")
    records[:, :3], records[:, 3], records[:, 4] = sweep.xyz, sweep.intensity, sweep.beam
    return records.tobytes()


def _as_past(past: Mapping[str, Any], current: SimulatedSweep) -> dict[str, Any]:
    """A past sweep as an entry of the current one lists it."""
    to_past = np.linalg.inv(np.array(past["ego2global"])) @ current.pose
    return {**past, "lidar_points": {**past["lidar_points"], "lidar2sensor": to_past.tolist()}}


def _instances(truth: GroundTruth) -> list[dict[str, Any]]:
    boxes = truth.boxes
    rows = np.concatenate([boxes.centers, boxes.sizes, boxes.yaws[:, None]], axis=1)
    columns: Sequence[list[Any]] = (
        rows.astype(np.float64).tolist(),
        boxes.velocities.astype(np.float64).tolist(),
        boxes.labels.tolist(),
        truth.num_points.tolist(),
        truth.track_ids.tolist(),
    )
    return [
        {
            "bbox_3d": box,
            "bbox_3d_isvalid": count != 0,
            "bbox_label": label,
            "bbox_label_3d": label,
            "velocity": velocity,
            "num_lidar_pts": count,
            "track_id": track,
        }
        for box, velocity, label, count, track in zip(*columns, strict=True)
    ]
