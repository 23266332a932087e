"""Parameters of the running node, set as users set them."""

import numpy as np
import pytest
from awml_deploy_msgs.msg import DetectionFrame
from clouds import cloud_of
from harness import Harness, wait_until
from lifecycle_msgs.msg import Transition

from awml_deploy_ros.parameters import AT_START

pytestmark = pytest.mark.usefixtures("ros_for_all")
POINTS = np.tile(np.array([[1.0, 2.0, 3.0, 50.0]], np.float32), (10, 1))
SCORES = "detection_score_thresholds.min_confidence_scores.CAR"
LIMITS = "detection_score_thresholds.distance_bin_upper_limits"


def test_parameters_are_described() -> None:
    with Harness() as h:
        found = {item.name: item for item in h.describe([spec.name for spec in AT_START])}
    for spec in AT_START:
        item = found[spec.name]
        assert (item.description, item.read_only) == (spec.description, spec.read_only)
        if spec.type == "double" and spec.range:
            (limits,) = item.floating_point_range
            assert (limits.from_value, limits.to_value) == spec.range


def test_thresholds_change_at_run_time() -> None:
    with Harness() as h:
        frames = h.collect(DetectionFrame, "output/frame")
        h.configure()
        h.activate()
        assert h.set_parameters(**{SCORES: [0.75]})[0].successful
        h.publisher.publish(cloud_of(POINTS))
        assert wait_until(lambda: frames)
        assert frames[0].boxes[0].score == 0.75


def test_a_refused_set_leaves_everything_as_it_was() -> None:
    with Harness() as h:
        h.configure()
        h.activate()
        before = h.node._pipeline
        both = {"post_process_params.iou_nms_threshold": 0.25, SCORES: [0.1, 0.2]}
        result = h.set_atomically(**both)
        assert not result.successful
        assert "CAR has 2 values for 1 bins" in result.reason
        assert h.node._pipeline is before
        assert h.get_parameter("post_process_params.iou_nms_threshold").double_value == 0.5
        assert list(h.get_parameter(SCORES).double_array_value) == [0.5]

        pedestrian = SCORES.replace("CAR", "PEDESTRIAN")
        result = h.set_atomically(**{LIMITS: [50.0, 90.0], SCORES: [0.1, 0.2], pedestrian: [0.3, 0.4]})
        assert result.successful
        assert h.node._pipeline.options["min_confidence_scores"]["CAR"] == [0.1, 0.2]
        assert list(h.get_parameter(LIMITS).double_array_value) == [50.0, 90.0]


def test_the_models_own_parameters_live_as_long_as_it_is_loaded() -> None:
    with Harness() as h:
        assert not h.node.has_parameter(SCORES)
        for _ in range(2):
            h.configure()
            assert list(h.get_parameter(SCORES).double_array_value) == [0.5]
            assert h.get_parameter("post_process_params.decoder").string_value == "autoware"
            h.set_parameters(**{SCORES: [0.75]})
            assert h.change(Transition.TRANSITION_CLEANUP)
            assert not h.node.has_parameter(SCORES)


def test_what_the_table_forbids_is_refused() -> None:
    with Harness() as h:
        h.configure()
        results = h.set_parameters(
            **{
                "post_process_params.iou_nms_threshold": 1.5,
                LIMITS: [-1.0],
                "post_process_params.decoder": "other",
                "backend": "pytorch",
            }
        )
    assert [result.successful for result in results] == [False] * 4
    assert "read-only" in results[3].reason


def test_parameters_that_nobody_reads_are_named(capfd) -> None:
    misspelt = {"output": ["frame"], f"{SCORES}S": [0.4]}
    with Harness(**misspelt) as h:
        assert h.configure()
    line = "parameters that this node does not have: " + ", ".join(sorted(misspelt))
    assert line in capfd.readouterr().err


def test_thresholds_of_the_parameter_file_reach_the_model() -> None:
    with Harness(**{SCORES: [0.4]}) as h:
        assert h.configure()
        options = h.node._pipeline.options
        assert options["min_confidence_scores"]["CAR"] == [0.4]
        assert options["iou_nms_threshold"] == 0.5
