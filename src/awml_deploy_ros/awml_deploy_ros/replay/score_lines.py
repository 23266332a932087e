"""Results as JSON lines, in the form of driving_log_replayer_v2's ``result.jsonl``.

Its tools take the last line's ``Result`` for the verdict and count the others by their ``Frame``. The form
is that of its use case *perception*: https://tier4.github.io/driving_log_replayer_v2/result_format and
``use_case/perception``. ``Stamp.System`` is when the input was recorded, not when it was judged, so that
the same bag gives the same file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from awml_deploy_core.files import write_text
from awml_deploy_core.verification import CheckResult, Verdict
from awml_deploy_ros.replay.accuracy import Scored, ScoredFrame
from awml_deploy_ros.replay.frames import CloudFate, ReplayedBag

FILE = "result.jsonl"
_CRITERION = "criteria0"
_METHOD = "num_gt_tp"
"""The share of the ground truth that is found."""


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
    yield _line(False, "NoData", {"System": first * 1e-9}, {})
    frames = {frame.cloud.index: frame for frame in scored.frames} if scored else {}
    counts = _Counts(scored.settings.pass_rate if scored else 1.0)
    for cloud in run.clouds:
        frame = counts.frame(cloud, frames.get(cloud.index), share)
        yield _line(counts.success, counts.summary, _stamp(cloud), frame)
    verdict = Verdict(checks)
    final: dict[str, Any] = {"FinalScore": _final(scored)} if scored and scored.result else {}
    final["Checks"] = {
        check.name: {"Result": check.status.value, "Info": check.message} for check in checks
    }
    stamp = {"System": first * 1e-9} if last is None else _stamp(last)
    yield _line(bool(verdict), _summary(checks, verdict, counts), stamp, final)


class _Counts:
    """Frames so far, as the lines tell them."""

    def __init__(self, pass_rate: float) -> None:
        self._pass_rate = pass_rate
        self.passed = self.total = self.skipped = self.nothing = 0

    @property
    def success(self) -> bool:
        """Whether enough of the frames so far were successes."""
        return self.total > 0 and self.passed >= self._pass_rate * self.total

    @property
    def summary(self) -> str:
        rate = 100.0 * self.passed / self.total if self.total else 0.0
        word = "Success" if self.success else "Fail"
        return f"{_CRITERION} ({word}): {self.passed} / {self.total} -> {rate:.2f}%"

    def frame(self, cloud: CloudFate, scored: ScoredFrame | None, share: float | None) -> dict[str, Any]:
        """Count one cloud; its ``Frame``."""
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
    """``TP``, ``FP`` and ``FN``, each with a count and the labels."""
    if scored.match is None:
        boxes = scored.truth.boxes
        missed = [boxes.class_names[label] for label in boxes.labels]
        return {"TP": "0 []", "FP": "0 []", "FN": _labels(missed)}
    counts = scored.match.counts
    parts = {"TP": "true_positives", "FP": "false_positives", "FN": "false_negatives"}
    return {
        key: _labels([name for name, count in counts.items() for _ in range(getattr(count, part))])
        for key, part in parts.items()
    }


def _labels(names: Sequence[str]) -> str:
    return f"{len(names)} [{', '.join(name.lower() for name in names)}]"


def _final(scored: Scored) -> Mapping[str, Any]:
    """Rates by class, as shares; AP and APH where they were measured."""
    assert scored.result is not None
    figures = scored.result.figures
    score: dict[str, dict[str, float]] = {}
    for prefix, title in (("recall/", "TP"), ("precision/", "Precision"), ("ap/", "AP(Center Distance)")):
        found = {
            name.removeprefix(prefix): value
            for name, value in figures.items()
            if name.startswith(prefix) and "/" not in name.removeprefix(prefix)
        }
        if prefix == "ap/" and "mean_ap" in figures:
            found["ALL"] = figures["mean_ap"]
        if "all" in found:
            found["ALL"] = found.pop("all")
        if found:
            score[title] = {name if name == "ALL" else name.lower(): value for name, value in found.items()}
    if "TP" in score:
        score["FN"] = {name: 1.0 - value for name, value in score["TP"].items()}
    return {"Score": score}


def _condition(scored: Scored | None) -> dict[str, Any]:
    if scored is None:
        return {"Criterion": []}
    distance = scored.distance
    level = 100.0 * scored.settings.pass_share
    return {
        "Criterion": [
            {
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
    return {"System": cloud.received_ns * 1e-9, "ROS": cloud.stamp_ns * 1e-9}


def _line(success: bool, summary: str, stamp: dict[str, float], frame: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Result": {"Success": success, "Summary": summary},
        "Stamp": stamp,
        "Frame": dict(frame),
    }
