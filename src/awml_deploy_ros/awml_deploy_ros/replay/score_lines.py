"""Results as JSON lines, in the form of driving_log_replayer_v2's ``result.jsonl``.

Its tools take ``Result`` of the last line for the verdict, and of every line that has exactly ``Result``,
``Stamp`` and ``Frame`` and a ``Stamp.ROS`` for a plot over time. The form is that of its use case
*perception*: https://tier4.github.io/driving_log_replayer_v2/result_format and ``use_case/perception``.
``Stamp.System`` is when the input was recorded, not when it was judged, so that the same bag gives the same
file, and ``Stamp.ROS`` is the stamp of the cloud.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from awml_deploy_core.files import write_text
from awml_deploy_core.verification import CheckResult, Verdict
from awml_deploy_ros.replay.accuracy import Scored, ScoredFrame
from awml_deploy_ros.replay.frames import UNEXPLAINED, CloudFate, ReplayedBag

FILE = "result.jsonl"
_CRITERION = "criteria0"
_METHOD = "num_gt_tp"
"""The share of the ground truth that is found."""
_NONE = "null"
_NS = 1_000_000_000


def write_score_lines(
    path: Path, run: ReplayedBag, checks: Sequence[CheckResult], scored: Scored | None
) -> None:
    """Write the file; it appears whole or not at all.

    Raises:
        ArtifactError: It cannot be written.
    """
    lines = score_lines(run, checks, scored)
    write_text(path, "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines))


def score_lines(
    run: ReplayedBag, checks: Sequence[CheckResult], scored: Scored | None
) -> Iterator[dict[str, Any]]:
    """Condition, header, one line a cloud, and the verdict."""
    first = run.clouds[0].received_ns if run.clouds else 0
    last = run.clouds[-1] if run.clouds else None
    share = None if scored is None else scored.settings.pass_share
    yield {"Condition": _condition(scored)}
    yield _line(False, "NoData", {"System": first / _NS}, {})
    frames = {frame.cloud.index: frame for frame in scored.frames} if scored else {}
    counts = _Counts(None if scored is None else scored.settings.pass_rate)
    for cloud in run.clouds:
        frame = counts.frame(cloud, frames.get(cloud.index), share)
        yield _line(counts.success, counts.summary, _stamp(cloud), frame)
    verdict = Verdict(checks)
    final: dict[str, Any] = {}
    if scored is not None and scored.result is not None:
        final["FinalScore"] = {"Score": _score(scored.result.figures, run.class_names)}
    final["Checks"] = {
        check.name: {"Result": check.status.value, "Info": check.message} for check in checks
    }
    stamp = {"System": first / _NS} if last is None else _stamp(last)
    yield _line(bool(verdict), _summary(checks, verdict, counts), stamp, final)


class _Counts:
    """Frames so far, as the lines tell them.

    Args:
        pass_rate: Share of the frames that have to be successes; None without ground truth, where the
            lines tell whether every cloud so far is accounted for.
    """

    def __init__(self, pass_rate: float | None) -> None:
        self._pass_rate = pass_rate
        self.passed = self.total = self.skipped = self.nothing = self.clouds = self.accounted = 0

    @property
    def success(self) -> bool:
        """Whether enough of the frames so far were successes."""
        if self._pass_rate is None:
            return self.accounted == self.clouds > 0
        return self.total > 0 and self.passed >= self._pass_rate * self.total

    @property
    def summary(self) -> str:
        """The criterion so far."""
        verdict, word = ("Passed", "Success") if self.success else ("Failed", "Fail")
        if self._pass_rate is None:
            return f"{verdict}: {self.accounted} of {self.clouds} clouds accounted for"
        if not self.total:
            return f"{verdict}: NotTested"
        rate = 100.0 * self.passed / self.total
        return f"{verdict}: {_CRITERION} ({word}): {self.passed} / {self.total} -> {rate:.2f}%"

    def frame(self, cloud: CloudFate, scored: ScoredFrame | None, share: float | None) -> dict[str, Any]:
        """Count one cloud; its ``Frame``."""
        self.clouds += 1
        self.accounted += cloud.fate != UNEXPLAINED
        common: dict[str, Any] = {"FrameName": str(cloud.index)}
        if scored is None or share is None:
            self.skipped += 1
            words = "no ground truth at its stamp" if cloud.frame else f"not processed: {cloud.fate}"
            return {**common, "Info": words, "FrameSkip": self.skipped}
        common["FrameSkip"] = self.skipped
        success = scored.success(share)
        if success is None:
            self.nothing += 1
            return {**common, _CRITERION: {"NoGTNoObj": self.nothing}}
        self.total += 1
        self.passed += success
        result = {
            "Total": "Success" if self.success else "Fail",
            "Frame": "Success" if success else "Fail",
        }
        return {**common, _CRITERION: {"PassFail": {"Result": result, "Info": _info(scored)}}}


def _info(scored: ScoredFrame) -> dict[str, str]:
    """``TP``, ``FP`` and ``FN``, each with a count and the labels; ``TN`` is of another task."""
    if scored.match is None:
        boxes = scored.truth.boxes
        missed = [boxes.class_names[label] for label in boxes.labels]
        return {"TP": "0 []", "FP": "0 []", "FN": _labels(missed), "TN": _NONE}
    counts = scored.match.counts
    parts = {"TP": "true_positives", "FP": "false_positives", "FN": "false_negatives"}
    found = {
        key: _labels([name for name, count in counts.items() for _ in range(getattr(count, part))])
        for key, part in parts.items()
    }
    return {**found, "TN": _NONE}


def _labels(names: Sequence[str]) -> str:
    return f"{len(names)} [{', '.join(name.lower() for name in names)}]"


def _score(figures: Mapping[str, float], class_names: Sequence[str]) -> Mapping[str, Any]:
    """By class and for all: shares of the ground truth found (``TP``) and missed (``FN``) and of the
    detections that are of nothing (``FP``), 0 where there is neither; AP, null where it was not measured.
    """
    names = {"ALL": "all", **{name.lower(): name for name in class_names}}
    recall = {label: figures.get(f"recall/{name}") for label, name in names.items()}
    precision = {label: figures.get(f"precision/{name}") for label, name in names.items()}
    average = {label: figures.get(f"ap/{name}") for label, name in names.items()}
    average["ALL"] = figures.get("mean_ap")
    return {
        "TP": {label: value or 0.0 for label, value in recall.items()},
        "FP": {label: 0.0 if value is None else 1.0 - value for label, value in precision.items()},
        "FN": {label: 0.0 if value is None else 1.0 - value for label, value in recall.items()},
        "TN": dict.fromkeys(names, 0.0),
        "AP(Center Distance)": average,
    }


def _condition(scored: Scored | None) -> dict[str, Any]:
    if scored is None:
        return {"Criterion": []}
    distance = scored.distance
    level = 100.0 * scored.settings.pass_share
    return {
        "Criterion": [
            {
                "criteria_name": _CRITERION,
                "PassRate": 100.0 * scored.settings.pass_rate,
                "CriteriaMethod": _METHOD,
                "CriteriaLevel": level,
                "Filter": {"Distance": None if distance is None else [0.0, distance], "Region": None},
            }
        ]
    }


def _summary(checks: Sequence[CheckResult], verdict: Verdict, counts: _Counts) -> str:
    word = "Passed" if verdict else "Failed"
    bad = [check.name for check in checks if check.status.value in ("failed", "error")]
    text = f"{word}: {verdict.summary().partition(': ')[2]}"
    if bad:
        text += f"; not passed: {', '.join(bad)}"
    return f"{text}; {counts.summary}" if counts.total else text


def _stamp(cloud: CloudFate) -> dict[str, float]:
    return {"System": cloud.received_ns / _NS, "ROS": cloud.stamp_ns / _NS}


def _line(success: bool, summary: str, stamp: dict[str, float], frame: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Result": {"Success": success, "Summary": summary},
        "Stamp": stamp,
        "Frame": dict(frame),
    }
