"""One way to open any source of clouds as samples that load when indexed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from awml_deploy_core.errors import BagError, DatasetError
from awml_deploy_core.family import LazySamples, Sample
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.pointcloud2 import DEFAULT_MAPPING, FieldMapping, columns_of
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_extractors.datasets.bag import CloudBag, CloudCursor, is_bag
from awml_extractors.datasets.infos import INFO_ENDING, bag_ground_truth, open_infos
from awml_extractors.datasets.kitti import read_kitti
from awml_extractors.datasets.natural_order import natural_order
from awml_extractors.datasets.npy import read_npy
from awml_extractors.datasets.nuscenes import read_nuscenes
from awml_extractors.datasets.pcd import read_pcd

FORMATS: dict[str, tuple[str, ...]] = {
    "nuscenes": (".pcd.bin",),
    "kitti": (".bin",),
    "pcd": (".pcd",),
    "npy": (".npy", ".npz"),
}
"""File endings of each format; the first match decides."""

_READERS: dict[str, Callable[[Path], PointColumns]] = {
    "nuscenes": read_nuscenes,
    "kitti": read_kitti,
    "npy": read_npy,
}


@dataclass(frozen=True)
class Source:
    """A parsed source: ``PATH``, ``PATH#/topic``, ``PATH?format=NAME`` or ``PATH.pkl?root=FOLDER``."""

    path: Path
    topic: str | None = None
    format: str | None = None
    root: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Source:
        """Split a source; a path that exists is taken as it is, whatever it contains.

        Raises:
            DatasetError: An option or format is unknown.
        """
        with suppress(OSError):
            # What is too long for a path may be a path and a topic.
            if Path(text).exists():
                return cls(Path(text))
        path, _, topic = text.partition("#")
        path, _, query = path.partition("?")
        option, _, value = query.partition("=")
        if option == "root" and value and Path(path).suffix == INFO_ENDING:
            return cls(Path(path), topic or None, root=Path(value))
        if query and (option != "format" or value not in FORMATS):
            raise DatasetError(
                text,
                "unknown option",
                got=f"?{query}",
                expected=f"?format={'|'.join(FORMATS)}, or ?root=FOLDER of an info file",
            )
        return cls(Path(path), topic or None, value or None)


def open_samples(
    source: str,
    limit: int | None = None,
    mapping: FieldMapping = DEFAULT_MAPPING,
    *,
    num_past_sweeps: int = 0,
    class_mapping: Mapping[str, str] | None = None,
    class_names: Sequence[str] | None = None,
) -> Sequence[Sample]:
    """Clouds of a source, in order, each a :class:`PointCloudFrame`.

    Args:
        source: A cloud file, a folder of cloud files of one format, a rosbag2 (folder, ``.db3``
            or ``.mcap``) with ``#/topic`` where it has several cloud topics, or an info file
            (``.pkl``) with ``?root=FOLDER``, relative to its own, where the clouds are not beside
            it. The format of a cloud file follows from its ending (:data:`FORMATS`) unless
            ``?format=NAME`` names it.
        limit: At most this many samples, from the start.
        mapping: Field names, for bags and PCD files.
        num_past_sweeps: As of :func:`open_infos`; samples of other sources have one sweep.
        class_mapping: As of :func:`open_infos`; also of a bag that has an info file beside it, whose
            boxes its clouds get by their stamps. Other sources have no ground truth.
        class_names: As of :func:`open_infos`.

    Raises:
        DatasetError: The source is missing, of an unknown format or holds no cloud. Also raised on
            indexing, for a file that is truncated or malformed.
        BagError: The bag or topic is missing or unreadable.
        PointCloudError: On indexing: a cloud is malformed or has no finite point.
    """
    if limit is not None and limit < 1:
        raise DatasetError(source, "limit is not positive", got=limit, expected="at least 1, or none")
    try:
        parsed = Source.parse(source)
        if parsed.path.suffix == INFO_ENDING and parsed.path.is_file():
            return open_infos(
                parsed.path,
                num_past_sweeps=num_past_sweeps,
                data_root=parsed.root and parsed.path.parent / parsed.root,
                class_mapping=class_mapping,
                class_names=class_names,
            )[:limit]
        samples = _open(parsed, mapping)
        if isinstance(samples, BagSamples):
            truths = bag_ground_truth(samples.cursor.bag.path, class_mapping, class_names)
            samples = replace(samples, truths=truths)
        return samples[:limit]
    except OSError as error:
        raise DatasetError(source, "cannot be read", got=error.strerror or error) from error


def _open(parsed: Source, mapping: FieldMapping) -> FileSamples | BagSamples:
    if not parsed.path.exists():
        raise DatasetError(parsed.path, "no such file or folder")
    if parsed.topic is not None or is_bag(parsed.path):
        bag = CloudBag.open(parsed.path, parsed.topic)
        if not bag.count:
            raise BagError(f"{bag.path}#{bag.topic}", "topic has no messages")
        return BagSamples(CloudCursor(bag), mapping)
    return FileSamples(tuple(_cloud_files(parsed)), mapping)


@dataclass(frozen=True)
class FileSamples(LazySamples):
    """One sample a file, identified by the file's name without its ending."""

    files: tuple[tuple[Path, str], ...]
    """Path and format (a key of :data:`FORMATS`) of each file."""
    mapping: FieldMapping = DEFAULT_MAPPING

    def __len__(self) -> int:
        return len(self.files)

    def _load(self, index: int) -> Sample:
        path, kind = self.files[index]
        columns = read_pcd(path, self.mapping) if kind == "pcd" else _READERS[kind](path)
        return Sample(_stem(path), PointCloudFrame.single(columns))


@dataclass(frozen=True)
class BagSamples(LazySamples):
    """One sample a recorded cloud, identified by its position and header stamp [ns]."""

    cursor: CloudCursor
    mapping: FieldMapping = DEFAULT_MAPPING
    truths: Mapping[int, GroundTruth] = field(default_factory=dict)
    """Ground truth by header stamp [ns], of those that have any."""

    def __len__(self) -> int:
        return self.cursor.bag.count

    def _load(self, index: int) -> Sample:
        cloud = self.cursor.read(index)
        columns = columns_of(cloud.message, self.mapping)
        frame = PointCloudFrame.single(columns, cloud.frame_id, cloud.stamp_ns)
        truth = self.truths.get(cloud.stamp_ns)
        return Sample(f"{cloud.index:06d}_{cloud.stamp_ns}", frame, truth)


def _stem(path: Path) -> str:
    """File name without the longest known ending."""
    ends = [end for ends in FORMATS.values() for end in ends if path.name.endswith(end)]
    return path.name.removesuffix(max(ends, key=len)) if ends else path.stem


def _format_of(path: Path) -> str | None:
    return next((name for name, ends in FORMATS.items() if path.name.endswith(ends)), None)


def _cloud_files(source: Source) -> list[tuple[Path, str]]:
    """Files of a source with their formats; of a folder, those with a known ending by name."""
    endings = ", ".join(end for ends in FORMATS.values() for end in ends)
    if source.path.is_file():
        chosen = source.format or _format_of(source.path)
        if chosen is None:
            raise DatasetError(
                source.path,
                "unknown kind of cloud file",
                got=source.path.suffix or "no ending",
                expected=endings,
                hint=f"Name its format: {source.path}?format=NAME with NAME of {', '.join(FORMATS)}.",
            )
        return [(source.path, chosen)]
    found: dict[str, list[Path]] = {}
    for path in sorted(source.path.iterdir(), key=natural_order):
        detected = _format_of(path) if path.is_file() else None
        if detected is not None:
            found.setdefault(detected, []).append(path)
    if not found:
        raise DatasetError(
            source.path, "no cloud file in the folder", expected=f"files ending in {endings}"
        )
    if len(found) > 1 and source.format not in found:
        raise DatasetError(
            source.path,
            "cloud files of several formats",
            got=", ".join(f"{len(paths)} {name}" for name, paths in found.items()),
            hint=f"Choose one: {source.path}?format={next(iter(found))}",
        )
    group = source.format if source.format in found else next(iter(found))
    return [(path, source.format or group) for path in found[group]]
