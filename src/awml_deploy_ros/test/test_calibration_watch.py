"""What diagnostics say of a calibration."""

import numpy as np

from awml_deploy_core.classification import Classification
from awml_deploy_ros.calibration_watch import CalibrationWatch, JudgedFrame
from awml_deploy_ros.health import Level
from awml_deploy_ros.image_parameters import CalibrationLimits

MS = 1_000_000
LIMITS = CalibrationLimits(
    class_name="calibrated", min_probability=0.6, max_consecutive_miscalibrated=3, max_age_ms=1000.0
)


def judged(calibrated: float, time_ms: int) -> JudgedFrame:
    probabilities = np.array([1 - calibrated, calibrated], np.float32)
    names = ("miscalibrated", "calibrated")
    return JudgedFrame(Classification(probabilities, names), {"camera": "front"}, time_ms * MS)


def test_nothing_is_known_before_the_first_frame() -> None:
    watch = CalibrationWatch(LIMITS)
    assert watch.health(0).level == Level.WARN
    assert watch.values()["class"] == ""


def test_several_wrong_ones_in_a_row_are_an_error_and_one_good_one_ends_it() -> None:
    watch = CalibrationWatch(LIMITS)
    levels = []
    # The third is more probable than not, but not enough.
    for index, probability in enumerate((0.9, 0.1, 0.55, 0.2, 0.9)):
        watch.note(judged(probability, index))
        levels.append(watch.health(index * MS).level)
    assert levels == [Level.OK, Level.WARN, Level.WARN, Level.ERROR, Level.OK]
    values = watch.values()
    assert (values["judged"], values["miscalibrated"], values["miscalibrated_in_a_row"]) == ("5", "3", "0")
    assert (values["class"], values["camera"]) == ("calibrated", "front")
    assert values["probability.calibrated"] == "0.900000"


def test_an_old_judgement_is_none() -> None:
    watch = CalibrationWatch(LIMITS)
    watch.note(judged(0.9, 0))
    assert watch.health(1000 * MS).level == Level.OK
    health = watch.health(1001 * MS)
    assert (health.level, health.message) == (Level.WARN, "no frame was judged for 1.0 s")
