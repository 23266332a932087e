"""Values of an info file with their place in it, so that every error can name it."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import DatasetError

_RIGID_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class InfoNode:
    """One mapping of an info file.

    Every method raises a :class:`DatasetError` that names the place where a value is missing or of
    another kind.
    """

    place: str
    """File, and the keys and indices that lead here, e.g. ``a.pkl: data_list[3].lidar_points``."""
    values: Mapping[str, Any]

    @classmethod
    def of(cls, place: str, value: object) -> InfoNode:
        """The mapping that ``value`` has to be."""
        if not isinstance(value, dict):
            raise DatasetError(place, "not a mapping", got=reprlib.repr(value), expected="a dict")
        return cls(place, value)

    def __contains__(self, key: str) -> bool:
        """Whether there is a value other than None, which mmdetection3d writes for nothing."""
        return self.values.get(key) is not None

    def error(self, key: str, problem: str, expected: str) -> DatasetError:
        """What is wrong with the value of ``key``."""
        return DatasetError(
            f"{self.place}.{key}", problem, got=reprlib.repr(self.values.get(key)), expected=expected
        )

    def node(self, key: str) -> InfoNode:
        """A mapping."""
        return InfoNode.of(f"{self.place}.{key}", self._value(key, "a dict"))

    def nodes(self, key: str) -> Iterator[InfoNode]:
        """The mappings of a list, none if the key is missing."""
        found = self.values.get(key)
        if found is None:
            return
        if not isinstance(found, list | tuple):
            raise self.error(key, "not a list", "a list of dicts")
        for i, value in enumerate(found):
            yield InfoNode.of(f"{self.place}.{key}[{i}]", value)

    def text(self, key: str) -> str:
        """Text that is not empty."""
        value = self._value(key, "text")
        if not isinstance(value, str) or not value:
            raise self.error(key, "not text", "text")
        return value

    def integer(self, key: str, *, at_least: int) -> int:
        """A whole number of 32 bits, ``at_least`` or more."""
        value = self._value(key, "a whole number")
        # Some converters keep counts as floats.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or not at_least <= value < 2**31:
            raise self.error(key, "not a whole number in range", f"a whole number from {at_least}")
        return value

    def stamp_ns(self) -> int:
        """The time of a sweep [ns]: ``stamp_ns`` where it is known, else ``timestamp`` in seconds.

        As a float, a time since 1970 is only good to the microsecond.
        """
        if "stamp_ns" in self:
            stamp = self.values["stamp_ns"]
            if not isinstance(stamp, int) or not 0 <= stamp < 2**63:
                raise self.error("stamp_ns", "not a time", "whole nanoseconds since 1970")
            return stamp
        seconds = self._value("timestamp", "seconds since 1970")
        if not isinstance(seconds, int | float) or not 0 <= seconds < 2**63 * 1e-9:
            raise self.error("timestamp", "not a time", "seconds since 1970")
        return round(seconds * 1e6) * 1000

    def array(self, key: str, *shapes: tuple[int, ...]) -> npt.NDArray[np.float64]:
        """Numbers, float64, of one of the shapes; they may be NaN."""
        expected = "numbers of shape " + " or ".join(str(list(shape)) for shape in shapes)
        value = self._value(key, expected)
        try:
            found = np.asarray(value, np.float64)
        except (TypeError, ValueError) as error:
            raise self.error(key, "not an array of numbers", expected) from error
        if found.shape not in shapes:
            raise self.error(key, f"wrong shape {list(found.shape)}", expected)
        return found

    def pose(self, key: str) -> npt.NDArray[np.float64]:
        """A rigid transform, float64 [4, 4]."""
        matrix = self.array(key, (4, 4))
        rotation = matrix[:3, :3]
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.abs(rotation @ rotation.T - np.eye(3)).max()
            error += np.abs(matrix[3] - [0, 0, 0, 1]).max()
        # Written so that NaN is refused.
        if not (error < _RIGID_TOLERANCE and np.isfinite(matrix).all()):
            raise self.error(key, "not a rigid transform", "a rotation and a translation [4, 4]")
        return matrix

    def _value(self, key: str, expected: str) -> Any:
        value = self.values.get(key)
        if value is None:
            raise DatasetError(f"{self.place}.{key}", "is missing", expected=expected)
        return value
