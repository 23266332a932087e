"""What changed since an earlier replay of the same bag: the verdict, in words for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from awml_deploy_core.verification import CheckResult, Status
from awml_deploy_ros.replay.box_diff import APPEARED, CHANGED, GONE, BoxChange, RegressionDiff
from awml_deploy_ros.replay.frame_file import StoredFrames

NAME = "regression"
_MOST_WORDS = 12
"""Changes that the message spells out; the details have all."""
_MOST_CLASSES = 5


def regression_check(diff: RegressionDiff, before: StoredFrames, model: str) -> CheckResult:
    """Passed if every box is where it was, within the limits, and at least one frame was compared.

    Clouds that met another fate fail it, unless it was for want of time in one of the two. Those, and
    frames with other past sweeps, are told and not judged: their input was another.
    """
    passed = diff.compared > 0 and not diff.changes and not diff.fates
    details = {
        "baseline": str(before.path),
        "same_model": before.model == model,
        "compared": diff.compared,
        "identical": diff.identical,
        "matched": diff.matched,
        "worst": dict(diff.worst),
        "changes": [
            {"sample": change.sample, "kind": change.kind, "box": dict(change.box), "detail": change.detail}
            for change in diff.changes
        ],
        "fates": list(diff.fates),
        "other_input": [*diff.other_input, *diff.by_timing],
    }
    status = Status.PASSED if passed else Status.FAILED
    return CheckResult(NAME, status, summary(diff, same_model=before.model == model), details=details)


def summary(diff: RegressionDiff, *, same_model: bool) -> str:
    """What a person wants to know first."""
    model = "same model" if same_model else "another model"
    if not diff.compared:
        return f"no frame to compare with the earlier result ({model})"
    changed = len({change.sample for change in diff.changes})
    kinds = Counter(change.kind for change in diff.changes)
    head = (
        f"{diff.compared} frames compared with the earlier result ({model}), {diff.identical} bit by bit "
        f"equal, {diff.matched} boxes unchanged"
    )
    parts = [head]
    if diff.changes:
        counts = ", ".join(f"{kinds[kind]} {kind}" for kind in (GONE, APPEARED, CHANGED) if kinds[kind])
        parts.append(f"{counts} in {changed} frames ({_by_class(diff.changes)})")
    if diff.fates:
        parts.append(f"{len(diff.fates)} clouds met another fate")
    if diff.other_input:
        parts.append(f"{len(diff.other_input)} frames had other past sweeps and are not compared")
    if diff.by_timing:
        parts.append(f"{len(diff.by_timing)} clouds were processed in time in one of the two only")
    listed = [*map(str, diff.changes), *diff.fates]
    lines = [*listed[:_MOST_WORDS]]
    if len(listed) > _MOST_WORDS:
        lines.append(f"and {len(listed) - _MOST_WORDS} more, see the result file")
    return "; ".join(parts) + "".join(f"\n  {line}" for line in lines)


def _by_class(changes: Sequence[BoxChange]) -> str:
    counts = Counter(f"{change.box['class']} {change.kind}" for change in changes)
    listed = [f"{count} {words}" for words, count in counts.most_common(_MOST_CLASSES)]
    return ", ".join([*listed, *(["..."] if len(counts) > _MOST_CLASSES else [])])
