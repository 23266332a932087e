"""Where a session runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from awml_deploy_core.errors import DeviceError

DeviceKind = Literal["cpu", "cuda"]

_PATTERN = re.compile(r"(?:(cpu)|(cuda)(?::(\d+))?)")


@dataclass(frozen=True)
class DeviceSpec:
    """A device by kind and index, written ``cpu``, ``cuda`` (index 0) or ``cuda:N``."""

    kind: DeviceKind
    index: int = 0

    @classmethod
    def parse(cls, text: str) -> DeviceSpec:
        """Parse a device string.

        Raises:
            DeviceError: ``text`` is not ``cpu``, ``cuda`` or ``cuda:N``.
        """
        match = _PATTERN.fullmatch(text.strip().lower())
        if match is None:
            raise DeviceError("device", "unknown device", got=repr(text), expected="cpu, cuda or cuda:N")
        if match.group(1):
            return cls("cpu")
        return cls("cuda", int(match.group(3) or 0))

    def __str__(self) -> str:
        return "cpu" if self.kind == "cpu" else f"cuda:{self.index}"


CPU = DeviceSpec("cpu")
