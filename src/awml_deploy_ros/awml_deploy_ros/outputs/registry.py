"""The outputs by name, and the set that a node publishes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec

from awml_deploy_core.errors import ParameterError
from awml_deploy_ros.frame import ProcessedFrame
from awml_deploy_ros.outputs.base import OutputContext, OutputFactory, RecordingOutput

_MODULES = {
    "frame": ("record", "awml_deploy_msgs"),
    "markers": ("markers", "visualization_msgs"),
    "debug": ("debug", "std_msgs"),
    "detected_objects": ("detected_objects", "autoware_perception_msgs"),
    "detection3d": ("detection3d", "vision_msgs"),
    "detection2d": ("detection2d", "vision_msgs"),
}
"""Module and needed message package by output name. Modules load only when selected, because
the package of an output may be missing."""

RECORD = "frame"
_RECORDS = {"detection3d": "record", "detection2d": "image_record"}
"""Module of the record by the model's task."""


def missing_packages(names: Sequence[str]) -> dict[str, str]:
    """Message packages that the outputs need and that are not installed, by output name."""
    return {name: package for name in names if find_spec(package := _MODULES[name][1]) is None}


class OutputSet:
    """The selected outputs, the typed record last so that it covers the others.

    Raises:
        ParameterError: An output's message package is not installed; all are listed.
    """

    def __init__(self, names: Sequence[str], context: OutputContext) -> None:
        if missing := missing_packages(names):
            raise ParameterError(
                "outputs",
                "need message packages that are not installed",
                problems=[f"{name} needs {package}" for name, package in missing.items()],
                hint=f"Install {', '.join(missing.values())} or remove the outputs from the parameter.",
            )
        self._timed = context.timed
        self._others = [_factory(name)(context) for name in names if name != RECORD]
        self._record = _record_factory(context.task)(context) if RECORD in names else None

    def publish(self, frame: ProcessedFrame) -> ProcessedFrame:
        """Publish a frame; return it with the ``publish`` stage and its timing added."""
        start = time.perf_counter_ns()
        for output in self._others:
            output.publish(frame)
        frame = self._timed(frame.with_stage("publish", (time.perf_counter_ns() - start) * 1e-6))
        if self._record is not None:
            self._record.publish(frame)
        return frame

    @property
    def listeners(self) -> int:
        """Subscribers of the record that the middleware has matched; 0 where it is not published."""
        return 0 if self._record is None else self._record.listeners

    def close(self) -> None:
        """Destroy all publishers."""
        for output in [*self._others, *([self._record] if self._record else [])]:
            output.close()


def _factory(name: str) -> OutputFactory:
    factory: OutputFactory = import_module(f"awml_deploy_ros.outputs.{_MODULES[name][0]}").create
    return factory


def _record_factory(task: str) -> Callable[[OutputContext], RecordingOutput]:
    module = import_module(f"awml_deploy_ros.outputs.{_RECORDS[task]}")
    factory: Callable[[OutputContext], RecordingOutput] = module.create
    return factory
