"""Images with the cloud of the same time: KITTI's folders, and info files of T4 and nuScenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from awml_deploy_core.classification import ClassLabel
from awml_deploy_core.errors import DatasetError, ImageError
from awml_deploy_core.family import LazySamples, Sample
from awml_deploy_core.images import CameraCalibration, LidarCameraFrame
from awml_deploy_core.points import PointColumns
from awml_extractors.datasets.image_files import ENDINGS, read_image
from awml_extractors.datasets.info_node import InfoNode
from awml_extractors.datasets.infos import INFO_ENDING
from awml_extractors.datasets.kitti import read_kitti
from awml_extractors.datasets.kitti_calib import read_kitti_calibration
from awml_extractors.datasets.natural_order import natural_order
from awml_extractors.datasets.records import read_records, require_finite
from awml_extractors.datasets.safe_pickle import read_plain_pickle
from awml_extractors.datasets.source_options import find_file, split_source

CALIBRATED, MISCALIBRATED = "calibrated", "miscalibrated"
"""Class names of AWML's classifier."""
ANGLE_RANGE = (1.0, 10.0)
"""Turn of a wrong calibration [degree], about any axis; AWML trains with this range."""
SHIFT_RANGE = (0.05, 0.2)
"""Shift of a wrong calibration [m], in any direction; likewise."""

_OPTIONS = ("root", "camera", "perturbed")
_KITTI_FOLDERS = ("velodyne", "calib", "image_2")

FrameLoader = Callable[[], LidarCameraFrame]


def open_lidar_camera(source: str, limit: int | None = None) -> Sequence[Sample]:
    """Frames of a source, as it is calibrated, each a :class:`LidarCameraFrame`.

    Args:
        source: A folder with KITTI's ``velodyne``, ``calib`` and ``image_2``, or an info file
            (``.pkl``) of AWML's calibration data set, of T4 or of nuScenes. Options after it:
            ``?root=FOLDER`` of an info file's paths, relative to it; ``camera=NAME`` for one camera
            of an info file; ``perturbed=SEED`` puts after every frame the same one with a wrong
            calibration (:data:`ANGLE_RANGE`, :data:`SHIFT_RANGE`).
        limit: At most this many samples, from the start.

    Raises:
        DatasetError: The source is missing, malformed or holds no frame. Also raised on indexing.
        MissingDependencyError: On indexing: Pillow is not installed.
        PointCloudError: On indexing: a cloud has no finite point.
    """
    if limit is not None and limit < 1:
        raise DatasetError(source, "limit is not positive", got=limit, expected="at least 1, or none")
    path, options = split_source(source, _OPTIONS)
    seed = options.get("perturbed")
    if seed is not None and not seed.isdigit():
        raise DatasetError(source, "perturbed is no seed", got=seed, expected="a whole number from 0")
    if path.suffix == INFO_ENDING and path.is_file():
        frames = _info_frames(path, path.parent / options.get("root", "."), options.get("camera"))
    elif path.is_dir():
        if unused := options.keys() & {"root", "camera"}:
            raise DatasetError(source, "option of info files", got=", ".join(sorted(unused)))
        frames = _kitti_frames(path)
    else:
        raise DatasetError(path, "no such folder or info file")
    return LidarCameraSamples(tuple(frames), None if seed is None else int(seed))[:limit]


@dataclass(frozen=True, eq=False)
class LidarCameraSamples(LazySamples):
    """One sample a frame, or two where wrong calibrations are asked for."""

    frames: tuple[tuple[str, FrameLoader], ...]
    """Identity and loader of every frame."""
    seed: int | None = None
    """Of the wrong calibrations; none leaves them out."""

    def __len__(self) -> int:
        return len(self.frames) * (1 if self.seed is None else 2)

    def _load(self, index: int) -> Sample:
        if self.seed is None:
            name, load = self.frames[index]
            return Sample(name, load(), ClassLabel(CALIBRATED))
        name, load = self.frames[index // 2]
        frame = load()
        if index % 2 == 0:
            return Sample(name, frame, ClassLabel(CALIBRATED))
        calibration = perturbed(frame.calibration, np.random.default_rng([self.seed, index // 2]))
        wrong = replace(frame, calibration=calibration)
        return Sample(f"{name}_{MISCALIBRATED}", wrong, ClassLabel(MISCALIBRATED))


def perturbed(calibration: CameraCalibration, generator: np.random.Generator) -> CameraCalibration:
    """A calibration whose LiDAR is turned and shifted by an amount that matters."""
    angle = np.radians(generator.uniform(*ANGLE_RANGE))
    axis, direction = (_unit_vector(generator) for _ in range(2))
    cross = np.cross(np.eye(3), axis)
    change = np.eye(4)
    # Rodrigues' formula; the sign of the angle does not matter, as any axis is as likely as its opposite.
    change[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    change[:3, 3] = generator.uniform(*SHIFT_RANGE) * direction
    return replace(calibration, lidar_to_camera=calibration.lidar_to_camera @ change)


def _unit_vector(generator: np.random.Generator) -> npt.NDArray[np.float64]:
    vector = generator.standard_normal(3)
    unit: npt.NDArray[np.float64] = vector / np.linalg.norm(vector)
    return unit


def _kitti_frames(folder: Path) -> list[tuple[str, FrameLoader]]:
    """Frames that have a cloud, in the order of their numbers."""
    absent = [name for name in _KITTI_FOLDERS if not (folder / name).is_dir()]
    if absent:
        raise DatasetError(
            folder,
            "is not in KITTI's layout",
            got=f"no {', '.join(absent)}",
            expected=", ".join(_KITTI_FOLDERS),
        )
    clouds = sorted((folder / "velodyne").glob("*.bin"), key=natural_order)
    if not clouds:
        raise DatasetError(folder / "velodyne", "holds no cloud", expected="files ending in .bin")
    return [(cloud.stem, partial(_kitti_frame, folder, cloud)) for cloud in clouds]


def _kitti_frame(folder: Path, cloud: Path) -> LidarCameraFrame:
    candidates = [folder / "image_2" / f"{cloud.stem}{ending}" for ending in ENDINGS]
    image = next((path for path in candidates if path.is_file()), None)
    if image is None:
        raise DatasetError(folder / "image_2" / f"{cloud.stem}.png", "does not exist")
    calibration = read_kitti_calibration(folder / "calib" / f"{cloud.stem}.txt")
    return LidarCameraFrame(read_image(image, "cam2"), read_kitti(cloud), calibration)


def _info_frames(path: Path, root: Path, camera: str | None) -> list[tuple[str, FrameLoader]]:
    content = InfoNode.of(str(path), read_plain_pickle(path))
    frames: list[tuple[str, FrameLoader]] = []
    cameras: dict[str, None] = {}
    for index, entry in enumerate(content.nodes("data_list")):
        for name, node in _cameras(entry):
            cameras[name] = None
            if camera is None or name == camera:
                frames.append((f"{index:06d}_{name}", partial(_info_frame, path, root, entry, name, node)))
    if not frames:
        raise DatasetError(
            path,
            "no frame of this camera" if cameras else "no frame with an image in the info file",
            got=camera,
            expected=" or ".join(cameras) or "data_list with image or images",
        )
    return frames


def _cameras(entry: InfoNode) -> list[tuple[str, InfoNode]]:
    """AWML's calibration data set has one camera an entry, the others a mapping of cameras."""
    if "image" in entry:
        return [(entry.text("frame_id") if "frame_id" in entry else "camera", entry.node("image"))]
    if "images" not in entry:
        return []
    images = entry.node("images")
    named = ((str(name), images.node(name)) for name in images.values)
    return [(name, node) for name, node in named if "img_path" in node]


def _info_frame(path: Path, root: Path, entry: InfoNode, name: str, camera: InfoNode) -> LidarCameraFrame:
    distortion = (
        camera.array("distortion_coefficients", (5,))
        if "distortion_coefficients" in camera
        else np.zeros(5)
    )
    calibration_place = f"{camera.place}.cam2img"
    try:
        calibration = CameraCalibration(
            camera.array("cam2img", (3, 3)), camera.pose("lidar2cam"), np.nan_to_num(distortion, nan=np.inf)
        )
    except ImageError as error:
        raise DatasetError(calibration_place, "no calibration", got=error) from error
    roots = [root, root / "samples" / name]
    image = find_file(roots, camera.text("img_path"), f"{camera.place}.img_path", path)
    return LidarCameraFrame(read_image(image, name), _cloud(path, root, entry), calibration)


def _cloud(path: Path, root: Path, entry: InfoNode) -> PointColumns:
    points = entry.node("lidar_points")
    values = points.integer("num_pts_feats", at_least=4) if "num_pts_feats" in points else 5
    roots = [root, root / "samples" / "LIDAR_TOP"]
    file = find_file(roots, points.text("lidar_path"), f"{points.place}.lidar_path", path)
    return require_finite(file, PointColumns.from_array(read_records(file, values)[:, :4]))
