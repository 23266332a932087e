"""The boxes of every frame of a replay in a file: what a later replay is compared with.

JSON lines: the first says what the file is, each further one is a cloud. It holds no times of this
machine, so that the same bag on the same model gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import ArtifactError, AwmlDeployError
from awml_deploy_core.evaluation.box_records import decode_boxes, encode_boxes
from awml_deploy_core.files import io_errors, write_text
from awml_deploy_ros.replay.frames import CloudFate

FRAMES = "frames.jsonl"
_FORMAT = "awml_deploy replay frames"
_VERSION = 1


@dataclass(frozen=True, eq=False)
class StoredCloud:
    """One cloud of an earlier replay."""

    sample_id: str
    stamp_ns: int
    fate: str
    past_ns: tuple[int, ...]
    """Stamps of its past sweeps [ns], the latest first."""
    boxes: Detections | None
    """None if it was not processed."""


@dataclass(frozen=True, eq=False)
class StoredFrames:
    """What an earlier replay found."""

    path: Path
    digest: str
    model: str
    """SHA-256 of its bundle, hexadecimal."""
    clouds: tuple[StoredCloud, ...]


def frames_digest(clouds: Sequence[CloudFate]) -> str:
    """SHA-256 over stamps, fates and boxes, hexadecimal: equal if every bit of them is."""
    digest = hashlib.sha256()
    for line in _lines(clouds):
        digest.update(line.encode())
    return digest.hexdigest()


def write_frames(path: Path, clouds: Sequence[CloudFate], model: str) -> None:
    """Write the clouds of a replay.

    Args:
        path: The file, which appears whole or not at all.
        clouds: In order.
        model: SHA-256 of the bundle.

    Raises:
        ArtifactError: It cannot be written.
    """
    head = {"format": _FORMAT, "version": _VERSION, "model": model, "digest": frames_digest(clouds)}
    write_text(path, "".join((_dumped(head) + "\n", *_lines(clouds))))


def read_frames(path: Path) -> StoredFrames:
    """Read what :func:`write_frames` wrote.

    Args:
        path: The file, or the folder of a replay's results.

    Raises:
        ArtifactError: It is missing, damaged or of another version.
    """
    file = path / FRAMES if path.is_dir() else path
    with io_errors(file, "result of an earlier replay cannot be read"):
        lines = file.read_text(encoding="utf-8").splitlines()
    try:
        head = json.loads(lines[0])
        if head["format"] != _FORMAT or head["version"] != _VERSION:
            raise ValueError(f"format {head['format']!r}, version {head['version']}")
        clouds = tuple(map(_cloud, map(json.loads, lines[1:])))
        return StoredFrames(file, str(head["digest"]), str(head["model"]), clouds)
    except (AwmlDeployError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            file,
            "is not the result of a replay, or damaged",
            got=" ".join(str(error).split()),
            expected=f"{_FORMAT}, version {_VERSION}",
        ) from error


def _lines(clouds: Sequence[CloudFate]) -> Iterator[str]:
    for cloud in clouds:
        frame = cloud.frame
        content: dict[str, Any] = {
            "sample": cloud.sample_id,
            "stamp_ns": cloud.stamp_ns,
            "received_ns": cloud.received_ns,
            "fate": cloud.fate,
            "past_ns": frame.past_stamps_ns if frame else (),
            "no_past_sweeps_reason": frame.no_past_sweeps_reason if frame else "",
            "boxes": encode_boxes(frame.detections) if frame else None,
        }
        yield _dumped(content) + "\n"


def _dumped(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"))


def _cloud(content: dict[str, Any]) -> StoredCloud:
    boxes = content["boxes"]
    return StoredCloud(
        str(content["sample"]),
        int(content["stamp_ns"]),
        str(content["fate"]),
        tuple(map(int, content["past_ns"])),
        None if boxes is None else decode_boxes(boxes),
    )


def stored(clouds: Sequence[CloudFate]) -> Iterator[StoredCloud]:
    """The clouds as they would be read back."""
    for cloud in clouds:
        boxes = cloud.frame.detections if cloud.frame else None
        past_ns = cloud.frame.past_stamps_ns if cloud.frame else ()
        yield StoredCloud(cloud.sample_id, cloud.stamp_ns, cloud.fate, past_ns, boxes)
