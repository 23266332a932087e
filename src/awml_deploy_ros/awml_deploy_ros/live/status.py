"""What the monitor of a live run tells the process that judges it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from awml_deploy_core.errors import ProcessError
from awml_deploy_core.files import io_errors
from awml_deploy_ros.diagnostics import processing_name
from awml_deploy_ros.health import Level

_DROPPED = "dropped."


@dataclass(frozen=True)
class LiveCounters:
    """What a node says became of its clouds."""

    received: int = 0
    processed: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By reason, zeros left out."""

    @property
    def accounted(self) -> int:
        """Clouds whose fate is known, those lost in transport included."""
        return self.processed + sum(self.dropped.values())

    @classmethod
    def of_frame(cls, message: Any) -> LiveCounters:
        """Counters of an awml_deploy_msgs/DetectionFrame, in any typed form."""
        counters = message.counters
        dropped = {entry.reason: int(entry.count) for entry in counters.dropped if entry.count}
        return cls(int(counters.received), int(counters.processed), dropped)

    @classmethod
    def of_diagnostics(cls, message: Any, node_name: str) -> LiveCounters | None:
        """Counters of a diagnostic_msgs/DiagnosticArray, None if it has none of the node's."""
        for status in message.status:
            values = {entry.key: entry.value for entry in status.values}
            if status.name != processing_name(node_name) or "received" not in values:
                continue
            dropped = {
                key.removeprefix(_DROPPED): int(value)
                for key, value in values.items()
                if key.startswith(_DROPPED) and int(value)
            }
            return cls(int(values["received"]), int(values["processed"]), dropped)
        return None


def listeners_of(message: Any, node_name: str, before: int = 0) -> int:
    """Matched subscribers of a node's record, by a DiagnosticArray; ``before`` if it does not say."""
    for status in message.status:
        if status.name == processing_name(node_name):
            return next((int(entry.value) for entry in status.values if entry.key == "listeners"), before)
    return before


def configure_problem(message: Any, node_name: str) -> str:
    """Why a node could not be configured, by a DiagnosticArray; empty if that is not what it says."""
    for status in message.status:
        values = {entry.key: entry.value for entry in status.values}
        failed = values.get("state") == "unconfigured" and bytes(status.level) == bytes([Level.ERROR])
        if status.name == processing_name(node_name) and failed:
            return str(status.message)
    return ""


@dataclass(frozen=True)
class LiveStatus:
    """What the monitor has seen so far."""

    ready: bool = False
    """Whether the node listens to its input and the recorders to its record."""
    counters: LiveCounters = LiveCounters()
    problem: str = ""
    """Why the node could not be configured, in its own words."""

    def write(self, path: Path) -> None:
        """Replace the status file, never leaving half of one.

        Raises:
            ArtifactError: It cannot be written.
        """
        partial = path.with_name(f".{path.name}")
        with io_errors(path, "status file cannot be written"):
            partial.write_text(json.dumps(asdict(self)), encoding="utf-8")
            os.replace(partial, path)

    @classmethod
    def read(cls, path: Path) -> LiveStatus:
        """The status in a file, the initial one as long as there is no file.

        Raises:
            ProcessError: The file is not a status.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(bool(data["ready"]), LiveCounters(**data["counters"]), str(data["problem"]))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ProcessError(path, "is not a status of the monitor", got=str(error)) from error
