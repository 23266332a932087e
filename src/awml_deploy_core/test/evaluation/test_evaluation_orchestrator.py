from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_frames import boxes
from fake_backends import (
    FakePipeline,
    FakeSurroundings,
    backend,
    keyed,
    labelled,
    shifted,
    there,
    unlabelled,
)

from awml_deploy_core.config.evaluation_schema import EvaluationSection, FloorSection
from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import ArtifactError, BackendUnavailableError, InferenceError
from awml_deploy_core.evaluation.detection3d_task import Detection3dTask
from awml_deploy_core.evaluation.orchestrator import EvaluationOrchestrator
from awml_deploy_core.evaluation.results import EvaluationResult
from awml_deploy_core.evaluation.samples import KeyedSamples, source_fingerprint
from awml_deploy_core.verification import Status

FAST = {"min_frames": 3, "max_frames": 3, "warm_up_frames": 1}


def section(**keys: Any) -> EvaluationSection:
    return EvaluationSection.model_validate({"latency": FAST, **keys})


def evaluate(
    backends: dict[str, Any],
    samples: KeyedSamples,
    *,
    optional: tuple[str, ...] = (),
    folder: Path | None = None,
    progress: Any = lambda *_: None,
    **keys: Any,
) -> EvaluationResult:
    orchestrator = EvaluationOrchestrator(
        FakeSurroundings(backends, folder), Detection3dTask(), section(**keys), progress
    )
    return orchestrator.run([backend(name, required=name not in optional) for name in backends], samples)


def states(result: EvaluationResult) -> dict[str, str]:
    return {check.name: check.status.value for check in result.verdict.checks}


def test_everything_is_measured_of_every_backend() -> None:
    pipelines = {"a": FakePipeline(), "b": FakePipeline(shifted(0.25))}
    result = evaluate(pipelines, keyed(labelled(4)), options={"low": True})
    assert result.verdict
    assert states(result) == {"a:cpu / samples": "passed", "b:cpu / samples": "passed"}
    first, second = result.backends
    assert first.figures()["mean_ap"] == pytest.approx(1.0)
    assert first.figures()["ap/CAR"] == pytest.approx(1.0)
    assert first.agreement_missing == "it is the reference"
    assert second.figures()["agreement/matched_share"] == 1
    assert second.figures()["agreement/center_m_mean"] == pytest.approx(0.25)
    assert first.figures()["size/mb"] == 2
    assert first.figures()["memory/peak_mb"] > 0
    assert first.figures()["latency/decode_boxes/p99"] > 0
    assert pipelines["a"].options == [{"low": True}]
    # Each sample once for accuracy, then warm-up and latency.
    assert pipelines["a"].seen[:4] == [0, 1, 2, 3]
    assert len(pipelines["a"].seen) == 4 + 1 + 3


@pytest.mark.parametrize(
    ("floor", "state"),
    [
        ({"figure": "mean_ap", "min": 0.9}, "passed"),
        ({"figure": "ap/CAR", "min": 1.1}, "failed"),
        ({"figure": "latency/mean", "max": 1e4}, "passed"),
        ({"figure": "latency/mean", "max": 1e-9}, "failed"),
        # Three frames do not tell a percentile.
        ({"figure": "latency/p95", "max": 1e4}, "skipped"),
        ({"figure": "memory/peak_mb", "max": 1.0}, "failed"),
        ({"figure": "mean_pa", "min": 0.5}, "error"),
        ({"figure": "size/mb", "min": 1.0, "max": 3.0}, "passed"),
    ],
)
def test_floors_are_a_gate(floor: dict[str, Any], state: str) -> None:
    result = evaluate({"a": FakePipeline()}, keyed(labelled(3)), floors=[floor])
    check = result.verdict.checks[-1]
    assert check.status.value == state
    wanted = {"passed": Status.PASSED, "error": Status.ERROR}.get(state, Status.FAILED)
    assert result.verdict.status is wanted
    if state == "error":
        assert "did you mean mean_ap?" in check.message


def test_a_floor_of_one_backend_leaves_others_alone() -> None:
    floor = {"figure": "mean_ap", "min": 2.0, "backends": ["b:cpu"]}
    result = evaluate({"a": FakePipeline(), "b": FakePipeline()}, keyed(labelled(2)), floors=[floor])
    assert [part.status.value for part in result.backends] == ["passed", "failed"]
    assert FloorSection(figure="mean_ap", min=2.0, backends=("b:cuda", "b")).backends == (
        "b:cuda:0",
        "b:cpu",
    )
    alone = evaluate({"a": FakePipeline()}, keyed(labelled(2)), floors=[floor])
    assert alone.verdict
    assert states(alone)["b:cpu / mean_ap >= 2"] == "skipped"


def test_without_labels_accuracy_is_skipped_and_not_passed() -> None:
    pipelines = {"a": FakePipeline(), "b": FakePipeline(shifted(0.1))}
    result = evaluate(pipelines, keyed(unlabelled(3)))
    assert result.verdict
    assert states(result)["a:cpu / accuracy"] == "skipped"
    first, second = result.backends
    assert (first.accuracy, first.accuracy_missing) == (None, "no sample has ground truth")
    assert first.latency is not None
    assert second.figures()["agreement/boxes_matched"] == 6
    assert "mean_ap" not in first.figures()
    assert second.worst[0].judged_by == "agreement with a:cpu"


def test_a_floor_of_accuracy_fails_without_labels() -> None:
    floors = [{"figure": "mean_ap", "min": 0.1}]
    result = evaluate({"a": FakePipeline()}, keyed(unlabelled(3)), floors=floors)
    assert result.verdict.status is Status.FAILED
    check = result.verdict.checks[-1]
    assert (check.status, check.message) == (Status.SKIPPED, "not measured: no sample has ground truth")


@pytest.mark.parametrize("required", [True, False])
def test_a_backend_that_cannot_run_is_skipped_with_its_reason(required: bool) -> None:
    gone = BackendUnavailableError("tensorrt", "is not installed")
    optional = () if required else ("gone",)
    result = evaluate({"a": FakePipeline(), "gone": gone}, keyed(labelled(2)), optional=optional)
    assert result.backends[1].status is Status.SKIPPED
    assert result.backends[1].latency_missing == "tensorrt: is not installed"
    assert result.verdict.status is (Status.FAILED if required else Status.PASSED)


def test_a_run_of_nothing_but_skipped_backends_fails() -> None:
    gone = BackendUnavailableError("tensorrt", "is not installed")
    assert not evaluate({"gone": gone}, keyed(labelled(2)), optional=("gone",)).verdict


def test_a_broken_backend_and_no_samples() -> None:
    broken = evaluate({"a": ArtifactError("bundle", "is corrupt")}, keyed(labelled(1)))
    assert broken.verdict.status is Status.ERROR
    assert evaluate({"a": FakePipeline()}, keyed([])).verdict.status is Status.FAILED


def test_a_sample_that_fails_is_an_error_and_no_silent_gap() -> None:
    def detect(index: int) -> Detections:
        if index == 1:
            raise InferenceError("session", "failed")
        return there(index)

    result = evaluate({"a": FakePipeline(detect)}, keyed(labelled(3)), latency={"enabled": False})
    check = result.verdict.checks[0]
    assert check.status is Status.ERROR
    assert check.message == "2 of 3 samples ran; s1: session: failed"
    assert result.backends[0].accuracy is not None
    assert result.backends[0].accuracy.num_frames == 2


def test_worst_frames_are_kept_with_their_ids() -> None:
    def detect(index: int) -> Detections:
        return boxes([(90.0, 90.0)]) if index == 2 else there(index)

    result = evaluate({"a": FakePipeline(detect)}, keyed(labelled(5)), keep_frames=2)
    (part,) = result.backends
    assert [(f.frame.sample_id, f.score.score) for f in part.worst] == [("s2", 0.0), ("s0", 1.0)]
    assert [f.frame.sample_id for f in part.best] == ["s4", "s3"]
    assert part.worst[0].score.summary == "0 found, 3 missed, 1 false"


def test_an_interrupted_run_loses_no_finished_frame(tmp_path: Path) -> None:
    data = keyed(labelled(6))
    first = FakePipeline()

    def interrupt(task: str, done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate({"a": first}, data, folder=tmp_path, progress=interrupt)
    assert first.seen == [0, 1, 2, 3]
    second = FakePipeline()
    resumed = evaluate({"a": second}, data, folder=tmp_path, latency={"enabled": False})
    assert second.seen == [4, 5]
    whole = evaluate({"a": FakePipeline()}, data, latency={"enabled": False})
    assert resumed.backends[0].run is not None
    assert resumed.backends[0].run.resumed == 4
    assert resumed.backends[0].accuracy == whole.backends[0].accuracy


def test_more_samples_go_on_from_fewer(tmp_path: Path) -> None:
    samples = labelled(6)
    fewer = KeyedSamples.choose([("data", samples)], 3, seed=1)
    first, second = FakePipeline(), FakePipeline()
    evaluate({"a": first}, fewer, folder=tmp_path, latency={"enabled": False})
    evaluate({"a": second}, keyed(samples), folder=tmp_path, latency={"enabled": False})
    assert sorted(first.seen + second.seen) == list(range(6))
    assert len(first.seen) == 3


def test_fingerprints_change_with_the_files(tmp_path: Path) -> None:
    file = tmp_path / "infos.pkl"
    file.write_bytes(b"a")
    before = source_fingerprint(str(file))
    assert before == source_fingerprint(str(file))
    file.write_bytes(b"ab")
    assert before != source_fingerprint(str(file))
    folder = source_fingerprint(str(tmp_path))
    (tmp_path / "b.npy").write_bytes(b"")
    assert folder != source_fingerprint(str(tmp_path))


def test_agreement_counts_boxes_of_one_side() -> None:
    task = Detection3dTask()
    reference = boxes([(0, 0), (10, 0), (20, 0)], labels=[0, 0, 1])
    test = boxes([(0.1, 0), (10, 0), (20, 0), (40, 0)], labels=[0, 1, 1, 0])
    turned = boxes([(0.1, 0), (10, 0), (20, 0), (40, 0)], [0, 1, 1, 0], yaws=np.full(4, np.pi, np.float32))
    found = task.agreement("ref", [(reference, test)])
    assert found.figures["boxes_matched"] == 2
    assert found.figures["boxes_only_in_reference"] == 1
    assert found.figures["boxes_only_in_test"] == 2
    assert found.figures["center_m_max"] == pytest.approx(0.1)
    assert found.figures["matched_share"] == pytest.approx(4 / 7)
    assert task.agreement("ref", [(reference, turned)]).figures["yaw_rad_mean"] == pytest.approx(np.pi)
    assert task.agree(boxes([]), boxes([])).score == 1
