"""What is asked of the replay of one bag, in a form that travels to another process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from awml_deploy_core.config.verification import Precision
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import AwmlDeployError, ParameterError
from awml_deploy_core.verification import Endpoint
from awml_deploy_core.verification.tolerances import PRECISIONS
from awml_deploy_ros.replay.frames import Mode


def parse_endpoint(text: str) -> Endpoint:
    """``BACKEND:DEVICE``, or ``BACKEND`` on the CPU.

    Raises:
        DeviceError: There is no such kind of device.
        ParameterError: There is no backend.
    """
    backend, _, device = text.partition(":")
    if not backend:
        raise ParameterError("reference", "names no backend", got=repr(text), expected="e.g. pytorch:cpu")
    return Endpoint(backend, DeviceSpec.parse(device or "cpu"))


@dataclass(frozen=True)
class ReplayRequest:
    """One bag, one model, everything that is checked. Paths are absolute texts.

    Raises:
        ParameterError: Values are invalid or contradict each other; all problems are listed.
    """

    bag: str
    report: str
    """Folder of the results."""
    model: str
    parameters: str
    """Parameter file of the node."""
    mode: Mode = "offline"
    topic: str | None = None
    backend: str | None = None
    """None takes the parameter file's, as do the next two."""
    device: str | None = None
    checkpoint: str | None = None
    reference: str | None = None
    """``BACKEND:DEVICE``."""
    ground_truth: str | None = None
    """Info file, or folder of those of many bags; None takes one beside the bag, if there is one."""
    floors: Mapping[str, float] = field(default_factory=dict)
    match_ms: float = 1.0
    max_distance: float | None = None
    min_points: int = 5
    budget: str | None = None
    baseline: str | None = None
    """Folder of an earlier result of the bag, or of many bags."""
    baseline_limits: Precision = "fp32"
    """By whose tolerances boxes may differ from the earlier result's."""
    recheck: int = -1
    """Clouds that are run once more; -1 is all, 0 none."""
    rate_hz: float = 10.0
    find_rate: bool = False
    attach: str | None = None
    """Full name of a node that runs already; None starts one."""
    input_topic: str | None = None
    """To which the attached node listens; None is the bag's own."""
    pictures: int = 0
    """Frames that are drawn."""

    def __post_init__(self) -> None:
        problems = []
        if self.recheck < -1:
            problems.append(f"recheck {self.recheck}, expected -1 (all), 0 or more")
        if self.reference is not None and not self.recheck:
            problems.append("a reference needs clouds to be run again: recheck must not be 0")
        if self.reference is not None:
            try:
                parse_endpoint(self.reference)
            except AwmlDeployError as error:
                problems.append(str(error))
        if self.mode == "offline" and (self.find_rate or self.attach):
            problems.append("offline there is no rate to find and no node to attach to")
        if self.find_rate and self.attach:
            problems.append("the highest rate is found with nodes of its own, not with an attached one")
        if not 0 < self.rate_hz <= 1000:
            problems.append(f"rate {self.rate_hz} Hz, expected above 0 and up to 1000")
        if self.baseline_limits not in PRECISIONS:
            expected = ", ".join(PRECISIONS)
            problems.append(f"baseline limits {self.baseline_limits!r}, expected one of {expected}")
        if self.match_ms < 0:
            problems.append(f"match {self.match_ms} ms, expected 0 or more")
        if self.max_distance is not None and not self.max_distance > 0:
            problems.append(f"max distance {self.max_distance} m, expected above 0")
        if self.pictures < 0:
            problems.append(f"pictures {self.pictures}, expected 0 or more")
        if problems:
            raise ParameterError("replay", "cannot be done as asked", problems=problems)

    @property
    def name(self) -> str:
        """Of the bag, for people."""
        return Path(self.bag).name

    @property
    def folder(self) -> Path:
        """Of the results."""
        return Path(self.report)

    def of(self, bag: Path, report: Path) -> ReplayRequest:
        """The same for another bag."""
        return replace(self, bag=str(bag), report=str(report))

    def to_json(self) -> str:
        """The inverse of :meth:`from_json`."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ReplayRequest:
        """Read what :meth:`to_json` wrote.

        Raises:
            ParameterError: It is no request.
        """
        try:
            content: dict[str, Any] = json.loads(text)
            return cls(**content)
        except (TypeError, ValueError) as error:
            raise ParameterError("replay request", "cannot be read", got=error) from error

    def key(self, content: Mapping[str, str]) -> str:
        """Hash of everything that decides the result: a result with the same key need not be made again.

        Args:
            content: Hashes or sizes and times of the files that the request names, by name.
        """
        own = {key: value for key, value in asdict(self).items() if key != "report"}
        text = json.dumps([own, dict(content)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
