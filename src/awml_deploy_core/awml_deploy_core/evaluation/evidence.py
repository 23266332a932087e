"""The frames that a backend does best and worst on."""

from __future__ import annotations

from typing import Any

from awml_deploy_core.errors import EvaluationError
from awml_deploy_core.evaluation.results import FrameRun, JudgedFrame
from awml_deploy_core.evaluation.task import TaskMetric

Judged = tuple[JudgedFrame, ...]


def best_and_worst(
    task: TaskMetric[Any, Any],
    run: FrameRun | None,
    reference: tuple[str, FrameRun | None] | None,
    count: int,
) -> tuple[Judged, Judged]:
    """The best and the worst frames, each from the extreme one on; no frame is in both.

    Frames are judged by their ground truth, those without by their agreement with the reference.

    Args:
        task: Judges frames.
        run: None if the backend did not run.
        reference: Name of the reference backend and what it ran; None for the reference itself.
        count: At most this many of either.
    """
    if run is None:
        return (), ()
    judged: list[JudgedFrame] = []
    for index, frame in run.frames.items():
        try:
            if frame.truth is not None:
                judged.append(JudgedFrame(index, frame, task.score(frame), "ground truth"))
            elif reference and reference[1] and (other := reference[1].frames.get(index)):
                score = task.agree(other.output, frame.output)
                judged.append(JudgedFrame(index, frame, score, f"agreement with {reference[0]}"))
        except EvaluationError:
            # The metrics over all frames say what is wrong with it.
            continue
    judged.sort(key=lambda entry: (entry.score.score, entry.index))
    worst = judged[:count]
    best = judged[len(worst) :][::-1][:count]
    return tuple(best), tuple(worst)
