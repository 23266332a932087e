from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from toy_family import ToyConfig, ToyFamily, ToyPipeline

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.errors import ArtifactError, BackendUnavailableError, InferenceError
from awml_deploy_core.family import Sample
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_core.runtime.binding import Binding
from awml_deploy_core.verification import (
    Bisection,
    Endpoint,
    Scenario,
    Status,
    VerificationOrchestrator,
    VerificationSettings,
)

CONFIG = ToyConfig()
SPECS = ToyFamily().component_specs(CONFIG)
WEIGHTS = np.random.default_rng(0).normal(size=(3, CONFIG.channels)).astype(np.float32)
HEAD = np.random.default_rng(1).normal(size=(CONFIG.channels, 7)).astype(np.float32)

Run = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass
class FakeSession:
    spec: ComponentSpec
    function: Run
    backend: str = "fake"
    device: DeviceSpec = CPU
    closed: bool = False

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return self.function(inputs)

    def close(self) -> None:
        self.closed = True


def encoder(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"features": np.maximum(inputs["points"] @ WEIGHTS, 0)}


def head(inputs: Mapping[str, Any]) -> dict[str, Any]:
    out = inputs["features"] @ HEAD
    return {"boxes": out[:, :5] * 0.1, "scores": out[:, 5:]}


def skewed(function: Run, tensor: str, factor: float) -> Run:
    return lambda inputs: {
        k: v * np.float32(factor if k == tensor else 1) for k, v in function(inputs).items()
    }


def pipeline(run_encoder: Run = encoder, run_head: Run = head, threshold: float = 0.5) -> ToyPipeline:
    sessions = {"encoder": FakeSession(SPECS[0], run_encoder), "head": FakeSession(SPECS[1], run_head)}
    return ToyPipeline(CONFIG, sessions, threshold)  # type: ignore[arg-type]


def samples(count: int = 2, points: int = 30) -> list[Sample]:
    rng = np.random.default_rng(3)
    return [
        Sample(f"s{i}", PointCloudFrame.single(PointColumns.from_array(rng.uniform(-5, 5, (points, 3)))))
        for i in range(count)
    ]


def scenario(required: bool = True) -> Scenario:
    return Scenario("exact vs test", Endpoint("exact", CPU), Endpoint("test", CPU), required)


def verify(
    test: ToyPipeline | Exception,
    data: list[Sample] | None = None,
    required: bool = True,
    reference: ToyPipeline | None = None,
    settings: VerificationSettings | None = None,
) -> Any:
    def open_pipeline(endpoint: Endpoint) -> ToyPipeline:
        if endpoint.backend == "exact":
            return reference or pipeline()
        if isinstance(test, Exception):
            raise test
        return test

    orchestrator = VerificationOrchestrator(open_pipeline, settings)
    return orchestrator.run([scenario(required)], samples() if data is None else data)


def failed(result: Any) -> list[str]:
    return [check.name.split(" / ")[-1] for check in result.verdict.checks if check.status is Status.FAILED]


def test_equal_backends_pass_and_every_stage_was_checked() -> None:
    result = verify(pipeline())
    assert result.verdict
    stages = [check.name.split(" / ")[2] for check in result.verdict.checks][:8]
    assert stages == [
        "preprocessing.points",
        "encoder.features (component alone)",
        "encoder.features",
        "head.boxes (component alone)",
        "head.scores (component alone)",
        "head.boxes",
        "head.scores",
        "output",
    ]
    closing = [check.name.split(" / ")[1:] for check in result.verdict.checks][16:]
    assert closing == [
        ["s0", "reference again"],
        ["s0", "test again"],
        ["s0 with noise", "encoder.features (component alone)"],
        ["s0 with noise", "head.boxes (component alone)"],
        ["s0 with noise", "head.scores (component alone)"],
    ]
    assert result.verdict.counts() == {"passed": 21, "failed": 0, "skipped": 0, "error": 0}


def test_fault_of_the_first_component_is_told_from_what_inherits_it() -> None:
    result = verify(pipeline(run_encoder=skewed(encoder, "features", 1.01)), samples(1))
    assert result.scenarios[0].first_divergence.details["component"] == "encoder"
    assert result.scenarios[0].first_divergence.details["tensor"] == "features"
    names = failed(result)
    assert "head.scores" in names
    assert "head.scores (component alone)" not in names


def test_fault_of_a_later_component_names_the_tensor() -> None:
    result = verify(pipeline(run_head=skewed(head, "scores", 1.5)), samples(1))
    divergence = result.scenarios[0].first_divergence
    assert divergence.details["component"] == "head"
    assert divergence.details["tensor"] == "scores"
    alone = "head.scores (component alone)"
    assert failed(result) == [alone, "head.scores", "output", alone]
    assert divergence.details["diagnosis"] == ["all channels are 1.5 times the reference"]


def test_fault_hidden_by_an_earlier_one_is_seen_by_the_component_alone() -> None:
    result = verify(pipeline(skewed(encoder, "features", 1.01), skewed(head, "boxes", 1.1)), samples(1))
    assert "head.boxes (component alone)" in failed(result)


@pytest.mark.parametrize(("required", "expected"), [(True, Status.FAILED), (False, Status.FAILED)])
def test_unavailable_backend_is_skipped_and_never_passes_alone(required: bool, expected: Status) -> None:
    result = verify(BackendUnavailableError("test", "is not installed"), required=required)
    none_ran, check = result.verdict.checks
    assert none_ran.message == "none of the 1 scenarios could run here"
    assert check.status is Status.SKIPPED
    assert "is not installed" in check.message
    assert result.verdict.status is expected


def test_optional_skip_beside_a_pass_is_a_pass() -> None:
    def open_pipeline(endpoint: Endpoint) -> ToyPipeline:
        if endpoint.backend == "absent":
            raise BackendUnavailableError("absent", "is not installed")
        return pipeline()

    absent = Scenario("b", Endpoint("exact", CPU), Endpoint("absent", CPU), required=False)
    orchestrator = VerificationOrchestrator(open_pipeline)
    assert orchestrator.run([scenario(), absent], samples(1)).verdict
    needed = Scenario("b", Endpoint("exact", CPU), Endpoint("absent", CPU))
    assert not orchestrator.run([scenario(), needed], samples(1)).verdict


def test_no_samples_and_no_scenarios_fail() -> None:
    assert verify(pipeline(), []).verdict.status is Status.FAILED
    orchestrator = VerificationOrchestrator(lambda _: pipeline())
    assert orchestrator.run([], samples()).verdict.status is Status.FAILED


def test_broken_bundle_is_an_error() -> None:
    result = verify(ArtifactError("head.onnx", "is truncated"))
    assert result.verdict.status is Status.ERROR
    assert "is truncated" in result.verdict.checks[0].message


def test_failing_sample_is_an_error_and_the_next_still_runs() -> None:
    calls = []

    def fails_once(inputs: Mapping[str, Any]) -> dict[str, Any]:
        calls.append(1)
        if len(calls) == 1:
            raise InferenceError("head", "ran out of memory")
        return head(inputs)

    result = verify(pipeline(run_head=fails_once))
    assert result.verdict.status is Status.ERROR
    assert result.verdict.counts() == {"passed": 11, "failed": 0, "skipped": 0, "error": 1}
    assert result.verdict.checks[0].details["sample"] == "s0"


def test_a_run_over_empty_clouds_alone_compared_nothing_and_fails() -> None:
    result = verify(pipeline(), samples(2, points=0))
    assert [check.status for check in result.verdict.checks] == [Status.SKIPPED] * 2 + [Status.FAILED]
    assert "no component ran" in result.verdict.checks[0].message
    assert "none of the 2 samples" in result.verdict.checks[-1].message
    assert result.verdict.status is Status.FAILED


def test_an_empty_cloud_among_others_is_reported_and_does_not_fail() -> None:
    result = verify(pipeline(), [*samples(1), *samples(1, points=0)])
    assert result.verdict.counts() == {"passed": 11, "failed": 0, "skipped": 1, "error": 0}
    assert result.verdict


def test_tensors_that_agree_prove_no_box_where_neither_side_has_one() -> None:
    result = verify(pipeline(threshold=2.0), samples(2), reference=pipeline(threshold=2.0))
    assert result.verdict.counts() == {"passed": 19, "failed": 1, "skipped": 2, "error": 0}
    outputs = [check for check in result.verdict.checks if check.name.endswith("output")]
    assert [check.message for check in outputs] == ["nothing to compare: neither side has a box"] * 2
    (failure,) = (check for check in result.verdict.checks if check.status is Status.FAILED)
    assert "decoded output of none of the 2 samples" in failure.message
    assert result.verdict.status is Status.FAILED


def test_a_sample_without_boxes_among_others_is_reported_and_does_not_fail() -> None:
    without = Sample("far", PointCloudFrame.single(PointColumns.from_array(np.zeros((4, 3)))))
    result = verify(pipeline(threshold=0.6), [*samples(1), without], reference=pipeline(threshold=0.6))
    assert result.verdict.counts() == {"passed": 20, "failed": 0, "skipped": 1, "error": 0}
    assert result.verdict


def test_boxes_on_one_side_only_fail() -> None:
    result = verify(pipeline(threshold=2.0), samples(1))
    assert failed(result) == ["output"]


class OtherTensors(ToyPipeline):
    """Runs its head only, and under another name of an output."""

    def _infer(self, sample: PointCloudFrame, clock: Any, tap: Any) -> Any:
        output = super()._infer(sample, clock, tap)
        if tap is not None:
            del tap.inputs["encoder"], tap.outputs["encoder"]
            tap.outputs["head"]["logits"] = tap.outputs["head"].pop("scores")
        return output


def test_what_only_one_side_has_fails() -> None:
    other = pipeline()
    result = verify(OtherTensors(CONFIG, other._sessions, 0.5), samples(1))
    messages = {
        check.name.split(" / ")[-1]: check.message
        for check in result.verdict.checks
        if check.status is Status.FAILED
    }
    missing = "is missing in the test"
    assert messages == {
        "encoder": "ran in the reference only",
        "head.scores (component alone)": missing,
        "head.scores": missing,
    }


def test_pipelines_are_closed_and_progress_is_told() -> None:
    opened: list[ToyPipeline] = []
    told: list[tuple[str, int, int]] = []

    def open_pipeline(_: Endpoint) -> ToyPipeline:
        opened.append(pipeline())
        return opened[-1]

    VerificationOrchestrator(open_pipeline, progress=lambda *event: told.append(event)).run(
        [scenario()], samples()
    )
    assert all(session.closed for made in opened for session in made.sessions)  # type: ignore[attr-defined]
    assert told == [("verify exact vs test", done, 2) for done in (0, 1, 2)]


@pytest.mark.parametrize(
    ("levels", "stages"),
    [
        ({"component"}, ["encoder.features", "head.boxes", "head.scores"] * 2),
        ({"chain"}, ["preprocessing.points", "encoder.features", "head.boxes", "head.scores"]),
        ({"boxes"}, ["output"]),
    ],
)
def test_levels_can_be_left_out(levels: set[str], stages: list[str]) -> None:
    settings = VerificationSettings(levels=frozenset(levels))  # type: ignore[arg-type]
    result = verify(pipeline(), samples(1), settings=settings)
    assert result.verdict
    names = [
        check.name.split(" / ")[2].removesuffix(" (component alone)") for check in result.verdict.checks
    ]
    assert names == stages


def test_every_level_is_timed() -> None:
    seconds = verify(pipeline(), samples(1)).scenarios[0].level_seconds
    assert set(seconds) == {"inference", "chain", "component", "boxes"}


def test_precision_of_the_artifacts_chooses_the_tolerances() -> None:
    test = pipeline(run_head=skewed(head, "scores", 1.001))
    assert not verify(test, samples(1)).verdict
    coarse = pipeline(run_head=skewed(head, "scores", 1.001))
    for session in coarse.sessions:
        session.precision = "fp16"  # type: ignore[attr-defined]
    result = verify(coarse, samples(1))
    assert result.scenarios[0].precision == "fp16"
    assert result.verdict


def test_precision_can_be_given() -> None:
    chosen = Scenario("s", Endpoint("exact", CPU), Endpoint("test", CPU), precision="tf32")
    result = VerificationOrchestrator(lambda _: pipeline()).run([chosen], samples(1))
    assert result.scenarios[0].precision == "tf32"


def test_a_component_that_fails_alone_is_searched_once() -> None:
    searched = []

    def search(_: Scenario, component: str, inputs: Mapping[str, Any], __: Any) -> Bisection:
        searched.append((component, sorted(inputs)))
        return Bisection(component, "nothing", 0, None)

    settings = VerificationSettings(bisect=search)
    result = verify(pipeline(run_head=skewed(head, "scores", 1.5)), samples(2), settings=settings)
    assert searched == [("head", ["features"])]
    assert [found.component for found in result.scenarios[0].bisections] == ["head"]


def test_what_a_component_makes_of_a_channel_that_samples_leave_at_rest_is_compared() -> None:
    """Here every sample lies in a plane, so a third of the encoder's weights could be anything."""
    flat = [
        Sample(item.sample_id, PointCloudFrame.single(PointColumns(c.x, c.y, np.zeros_like(c.z))))
        for item in samples()
        for c in [item.input.sweeps[0].columns]
    ]
    other = WEIGHTS * np.array([[1], [1], [-1]], np.float32)
    result = verify(pipeline(lambda inputs: {"features": np.maximum(inputs["points"] @ other, 0)}), flat)
    assert failed(result) == ["encoder.features (component alone)"]
    assert result.scenarios[0].first_divergence.details["sample"] == "s0 with noise"


def test_what_stays_between_frames_is_found_though_both_sides_share_it() -> None:
    class Remembers(ToyPipeline):
        seen = 0

        def _infer(self, sample: Any, clock: Any, tap: Any) -> Any:
            Remembers.seen += 1
            moved = sample.sweeps[0].columns
            points = PointColumns(moved.x + np.float32(Remembers.seen), moved.y, moved.z)
            return super()._infer(PointCloudFrame.single(points), clock, tap)

    made = pipeline()
    sessions = dict(zip(("encoder", "head"), made.sessions, strict=True))
    result = verify(Remembers(CONFIG, sessions, 0.5), samples(2))
    again = [check for check in result.verdict.checks if check.details.get("level") == "repeat"]
    assert [check.status for check in again] == [Status.PASSED, Status.FAILED]
    assert "input points of encoder is another than when the same sample ran first" in again[1].message


def test_a_graph_that_names_its_tensors_otherwise_is_told_where_names_are_fixed() -> None:
    made = pipeline()
    made.sessions[0].binding = Binding(("cloud",), ("features",), True)  # type: ignore[attr-defined]
    settings = VerificationSettings(names_are_fixed=True)
    (check,) = (c for c in verify(made, settings=settings).verdict.checks if c.status is Status.FAILED)
    assert check.name == "exact vs test / encoder / names of its tensors"
    assert "input cloud is called points in the component" in check.message
    assert verify(made).verdict
