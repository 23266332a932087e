"""One error hierarchy for the whole suite.

Every bad input becomes one typed error that says which thing is wrong, what was found,
what was expected and what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence


class AwmlDeployError(Exception):
    """Base of all errors this suite raises on purpose.

    Args:
        subject: The thing that is wrong: a path, a parameter, a tensor, a topic.
        problem: What is wrong with it, in one clause.
        got: The offending value.
        expected: What would have been right.
        hint: What the user can do.
        problems: Every problem found in one pass over the subject, one clause each.
    """

    def __init__(
        self,
        subject: object,
        problem: str,
        *,
        got: object | None = None,
        expected: object | None = None,
        hint: str | None = None,
        problems: Sequence[str] = (),
    ) -> None:
        self.subject = str(subject)
        self.problem = problem
        self.got = got
        self.expected = expected
        self.hint = hint
        self.problems = tuple(problems)
        super().__init__(self._message())

    def _message(self) -> str:
        parts = [f"{self.subject}: {self.problem}"]
        if self.got is not None:
            parts.append(f"got {self.got}")
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        text = "; ".join(parts) + "".join(f"\n  - {problem}" for problem in self.problems)
        if not self.hint:
            return text
        return f"{text}\n{self.hint}" if self.problems else f"{text}. {self.hint}"


class ConfigError(AwmlDeployError):
    """A configuration file or value is invalid."""


class CheckpointError(AwmlDeployError):
    """A checkpoint cannot be read or does not belong to the configured model."""


class ExportError(AwmlDeployError):
    """A component could not be exported."""


class ArtifactError(AwmlDeployError):
    """A bundle, manifest or artifact file is missing, corrupt or does not match its record."""


class BackendUnavailableError(AwmlDeployError):
    """A backend cannot run on this machine or device."""


class DeviceError(AwmlDeployError):
    """A device specification is invalid or names a device that does not exist."""


class DeviceLostError(AwmlDeployError):
    """The GPU's context is broken: nothing runs on it until the process is restarted."""


class KernelCompileError(AwmlDeployError):
    """CUDA source does not compile."""


class TensorMismatchError(AwmlDeployError):
    """A tensor's name, dtype or shape differs from its specification."""


class InferenceError(AwmlDeployError):
    """A backend failed while it ran a component."""


class PointCloudError(AwmlDeployError):
    """A point cloud is malformed or inconsistent."""


class TransformError(AwmlDeployError):
    """A transform between two frames is malformed, or not known at a time."""


class ImageError(AwmlDeployError):
    """An image or the calibration of its camera is malformed or inconsistent."""


class BagError(AwmlDeployError):
    """A rosbag is unreadable or lacks a topic."""


class DatasetError(AwmlDeployError):
    """A sample source other than a rosbag is missing, unreadable or of an unknown format."""


class ParameterError(AwmlDeployError):
    """A run-time option or ROS parameter is invalid."""


class EvaluationError(AwmlDeployError):
    """Detections and ground truth do not belong together or say nothing about a model."""


class MissingDependencyError(AwmlDeployError):
    """An optional package is needed but not installed."""


class ProcessError(AwmlDeployError):
    """A process that was started for a job ended or did not end as it should."""
