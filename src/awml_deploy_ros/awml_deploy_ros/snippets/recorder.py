"""Writes snippets in a thread of low priority."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rclpy.serialization import serialize_message

from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.files import write_text
from awml_deploy_ros.bag_recorder import BagFile
from awml_deploy_ros.bag_types import require_rosbags
from awml_deploy_ros.health import Health, Level
from awml_deploy_ros.process import FatalErrors
from awml_deploy_ros.snippets.ring import HeldMessage, MessageRing
from awml_deploy_ros.snippets.settings import SnippetSettings
from awml_deploy_ros.snippets.store import SUMMARY, SnippetStore

BAG = "bag"
_LOW_PRIORITY = 15
_LATE_NEWS_S = 5.0
"""How long after a frame somebody may still ask for it: so long the reference may take."""
_SMALL = 2000
"""Bytes that a message without point data counts as."""


@dataclass(frozen=True)
class SnippetState:
    """What became of the snippets."""

    written: int = 0
    failed: int = 0
    not_written: int = 0
    last_snippet: str = ""
    last_error: str = ""

    def values(self, store: SnippetStore, ring: MessageRing) -> dict[str, str]:
        """For diagnostics, by :data:`~awml_deploy_ros.diagnostic_keys.SNIPPET_KEYS`."""
        return {
            **{name: str(value) for name, value in vars(self).items()},
            "removed": str(store.removed),
            "total_mb": f"{store.total / 1e6:.1f}",
            "buffer_mb": f"{ring.size / 1e6:.1f}",
        }


@dataclass(frozen=True, eq=False)
class _Wanted:
    reason: str
    arrival_ns: int
    """Of the frame, monotonic [ns]."""
    stamp_ns: int
    details: Mapping[str, Any]


class SnippetRecorder:
    """Holds the last seconds and writes them when somebody asks.

    Args:
        settings: With a folder.
        files: Gives the content by name of the text files that reproduce a frame offline.
        fatal: Where unexpected exceptions go.

    Raises:
        ArtifactError: The folder cannot be made.
        MissingDependencyError: rosbags is not installed.
    """

    def __init__(
        self, settings: SnippetSettings, files: Callable[[], Mapping[str, str]], fatal: FatalErrors
    ) -> None:
        assert settings.folder is not None
        require_rosbags()
        self._settings = settings
        self._files = files
        self._fatal = fatal
        self._store = SnippetStore(settings.folder, settings.max_total_mb, settings.min_free_mb)
        self.ring = MessageRing(
            settings.seconds_before + settings.seconds_after + _LATE_NEWS_S,
            round(settings.max_buffer_mb * 1e6),
        )
        self._changed = threading.Condition()
        self._state = SnippetState()
        self._wanted: _Wanted | None = None
        self._last_ns: int | None = None
        self._closed = False
        self._types: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="snippets")
        self._thread.start()

    @property
    def state(self) -> SnippetState:
        return self._state

    def values(self) -> dict[str, str]:
        """For diagnostics."""
        return self._state.values(self._store, self.ring)

    def health(self) -> Health:
        """WARN while the last snippet that was wanted could not be written."""
        if self._state.last_error:
            return Health(Level.WARN, self._state.last_error)
        return Health(Level.OK, f"{self._state.written} written")

    def hold(self, topic: str, kind: str, message: Any, *, latched: bool = False) -> None:
        """Keep a message for a while; it must not be changed any more.

        Args:
            topic: Where it came from or went to.
            kind: Its type, e.g. ``sensor_msgs/msg/PointCloud2``.
            message: The message.
            latched: Whether it stays true, as those of /tf_static do.
        """
        self._types[topic] = kind
        size = len(getattr(message, "data", ())) + _SMALL
        held = HeldMessage(topic, message, time.monotonic_ns(), time.time_ns(), size)
        if latched:
            self.ring.latch(held)
        else:
            self.ring.add(held)

    def want(self, reason: str, arrival_ns: int, stamp_ns: int, details: Mapping[str, Any]) -> None:
        """Ask for a snippet around a frame; returns at once.

        Args:
            reason: One word, for its name.
            arrival_ns: Of the frame, monotonic [ns].
            stamp_ns: Of the frame, which identifies it [ns].
            details: What is wrong, JSON-ready.
        """
        with self._changed:
            last_ns, interval_ns = self._last_ns, round(self._settings.min_interval_s * 1e9)
            if self._wanted is not None or (last_ns is not None and arrival_ns - last_ns < interval_ns):
                self._state = replace(self._state, not_written=self._state.not_written + 1)
                return
            self._last_ns = arrival_ns
            self._wanted = _Wanted(reason, arrival_ns, stamp_ns, details)
            self._changed.notify()

    def close(self) -> None:
        """Finish the snippet in work and end the thread; one that waits for its end is written now."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        self.ring.clear()

    def _run(self) -> None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOW_PRIORITY)
        with self._fatal:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or self._wanted is not None)
                    wanted = self._wanted
                    if wanted is None:
                        return
                    end_ns = wanted.arrival_ns + round(self._settings.seconds_after * 1e9)
                    left_s = (end_ns - time.monotonic_ns()) * 1e-9
                    self._changed.wait_for(lambda: self._closed, max(0.0, left_s))
                try:
                    place = self._write(wanted, end_ns)
                except AwmlDeployError as error:
                    self._set(failed=self._state.failed + 1, last_error=str(error))
                else:
                    self._set(written=self._state.written + 1, last_snippet=str(place), last_error="")

    def _set(self, **changes: Any) -> None:
        with self._changed:
            self._wanted = None
            self._state = replace(self._state, **changes)

    def _write(self, wanted: _Wanted, end_ns: int) -> Path:
        start_ns = wanted.arrival_ns - round(self._settings.seconds_before * 1e9)
        messages = self.ring.between(start_ns, end_ns)
        moving = [held for held in messages if held.arrival_ns >= start_ns]
        ends = [*moving[:1], *moving[-1:]]
        now = datetime.now(timezone.utc)
        name = f"{now:%Y%m%dT%H%M%S}_{now.microsecond // 1000:03d}_{wanted.reason}"
        size = sum(held.size for held in messages)
        summary = {
            "reason": wanted.reason,
            "time": now.isoformat(),
            "frame_stamp_ns": wanted.stamp_ns,
            "seconds": [_seconds(held.arrival_ns - wanted.arrival_ns) for held in ends],
            "messages": len(messages),
            "details": wanted.details,
        }

        def fill(folder: Path) -> None:
            self._write_bag(folder / BAG, messages)
            for file, content in self._files().items():
                write_text(folder / file, content)
            write_text(folder / SUMMARY, json.dumps(summary, indent=2) + "\n")

        return self._store.write(name, size, fill)

    def _write_bag(self, path: Path, messages: list[HeldMessage]) -> None:
        topics = {held.topic: self._types[held.topic] for held in messages}
        bag = BagFile(path, topics)
        try:
            for held in messages:
                bag.write(held.topic, held.wall_ns, bytes(serialize_message(held.message)))
                # Serialising holds the interpreter, which the live thread wants.
                time.sleep(0)
        except BaseException:
            bag.discard()
            raise
        bag.finish()


def _seconds(nanoseconds: int) -> float:
    return round(nanoseconds * 1e-9, 3)
