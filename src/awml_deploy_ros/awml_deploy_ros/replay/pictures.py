"""Bird's-eye views of the frames that a person should look at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from awml_deploy_core.files import io_errors
from awml_deploy_core.reporting.bev import BevView, write_bev
from awml_deploy_core.verification import CheckResult
from awml_deploy_ros.bag_types import typestore_for
from awml_deploy_ros.cloud_input import field_mapping, frame_of
from awml_deploy_ros.replay.accuracy import Scored
from awml_deploy_ros.replay.frames import ReplayedBag
from awml_deploy_ros.replay.node_settings import NodeValues
from awml_deploy_ros.replay.timeline import BagTimeline, decode_cloud

_FOLDER = "pictures"
_REACH_M = 60.0


def draw_frames(
    run: ReplayedBag,
    values: NodeValues,
    checks: Sequence[CheckResult],
    scored: Scored | None,
    folder: Path,
    number: int,
) -> tuple[Path, ...]:
    """Draw frames in which something changed or disagrees, then others from all over the bag.

    Args:
        run: The replayed bag.
        values: Of the node: which fields are the coordinates.
        checks: Whose details name frames.
        scored: Ground truth that is drawn, if there is any.
        folder: Gets a folder of the pictures.
        number: At most so many.

    Raises:
        ArtifactError: A picture cannot be written.
        MissingDependencyError: matplotlib is not installed.
        BagError: The bag is damaged.
    """
    chosen = set(_chosen(run, checks, number))
    if not chosen:
        return ()
    target = folder / _FOLDER
    with io_errors(target, "cannot be made"):
        target.mkdir(parents=True, exist_ok=True)
    truths = {frame.cloud.index: frame.truth for frame in scored.frames} if scored else {}
    reach = (scored.distance if scored else None) or _REACH_M
    decode = partial(frame_of, mapping=field_mapping(values.settings.field_mapping), check_is_dense=False)
    by_index = {cloud.index: cloud for cloud in run.processed}
    timeline, store = BagTimeline(run.source, with_transforms=False), typestore_for()
    drawn = []
    while (recorded := timeline.next_cloud(None)) is not None:
        if recorded.index not in chosen:
            continue
        cloud = by_index[recorded.index]
        assert cloud.frame is not None
        path = target / f"{cloud.sample_id}.png"
        found = cloud.frame.detections
        write_bev(
            path,
            decode(decode_cloud(store, run.source, recorded)).sweeps[0].columns,
            replace(found, class_names=run.class_names),
            ground_truth=truths.get(cloud.index),
            match_distance=2.0,
            view=BevView((-reach, reach), (-reach, reach)),
            title=f"{cloud.sample_id}: {len(found)} detections",
        )
        drawn.append(path)
    return tuple(drawn)


def _chosen(run: ReplayedBag, checks: Sequence[CheckResult], number: int) -> list[int]:
    by_name = {cloud.sample_id: cloud.index for cloud in run.processed}
    named = [
        item["sample"]
        for check in checks
        for key in ("changes", "failures")
        for item in check.details.get(key, ())
    ]
    named += [name for check in checks for name in check.details.get("different", ())]
    first = [by_name[name] for name in dict.fromkeys(named) if name in by_name][:number]
    indices = list(by_name.values())
    if not indices or not number:
        return []
    spread = np.unique(np.linspace(0, len(indices) - 1, number).astype(int))
    others = [indices[at] for at in spread if indices[at] not in first]
    return [*first, *others][:number]
