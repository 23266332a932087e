"""What is known of a calibration. This module knows no ROS."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from awml_deploy_core.classification import Classification
from awml_deploy_ros.health import Health, Level
from awml_deploy_ros.image_parameters import CalibrationLimits


@dataclass(frozen=True, eq=False)
class JudgedFrame:
    """What the model said of one cloud and its image."""

    result: Classification
    values: Mapping[str, str]
    """More for diagnostics."""
    time_ns: int
    """When it was said, monotonic clock [ns]."""


class CalibrationWatch:
    """Remembers what was judged since the node was activated; thread-safe.

    Args:
        limits: What is miscalibrated, and for how long.
    """

    def __init__(self, limits: CalibrationLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._last: JudgedFrame | None = None
        self._judged = self._miscalibrated = self._in_a_row = 0

    def note(self, frame: JudgedFrame) -> None:
        """Note a frame."""
        calibrated = self._probability(frame.result) >= self._limits.min_probability
        with self._lock:
            self._last = frame
            self._judged += 1
            self._miscalibrated += not calibrated
            self._in_a_row = 0 if calibrated else self._in_a_row + 1

    def values(self) -> dict[str, str]:
        """For diagnostics, by :data:`~awml_deploy_ros.diagnostic_keys.CALIBRATION_KEYS`."""
        with self._lock:
            last = self._last
            counts = {
                "judged": str(self._judged),
                "miscalibrated": str(self._miscalibrated),
                "miscalibrated_in_a_row": str(self._in_a_row),
            }
        if last is None:
            return {"class": "", **counts}
        result = last.result
        probabilities = {
            f"probability.{name}": f"{probability:.6f}"
            for name, probability in zip(result.class_names, result.probabilities.tolist(), strict=True)
        }
        return {"class": result.class_name, **probabilities, **last.values, **counts}

    def health(self, now_ns: int) -> Health:
        """WARN: the last frame was miscalibrated, or none is recent. ERROR: several in a row were."""
        with self._lock:
            last, in_a_row = self._last, self._in_a_row
        if last is None:
            return Health(Level.WARN, "no frame was judged yet")
        age_ms = (now_ns - last.time_ns) * 1e-6
        if age_ms > self._limits.max_age_ms:
            return Health(Level.WARN, f"no frame was judged for {age_ms / 1000:.1f} s")
        name = self._limits.class_name
        said = f"{name} with a probability of {self._probability(last.result):.2f}"
        if not in_a_row:
            return Health(Level.OK, said)
        text = f"{said}, at least {self._limits.min_probability:.2f} expected"
        if in_a_row >= self._limits.max_consecutive_miscalibrated:
            return Health(Level.ERROR, f"{text}; {in_a_row} frames in a row")
        return Health(Level.WARN, text)

    def _probability(self, result: Classification) -> float:
        return float(result.probabilities[result.class_names.index(self._limits.class_name)])
