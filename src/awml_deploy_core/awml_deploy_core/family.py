"""How core sees a model family, found through the entry-point group ``awml_deploy.models``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload, runtime_checkable

import numpy.typing as npt

from awml_deploy_core.components import ComponentSpec, ModelComponentExtractor
from awml_deploy_core.errors import MissingDependencyError
from awml_deploy_core.packages import load_plugin, plugin_names
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.runtime.session import Session

if TYPE_CHECKING:
    import torch

GROUP = "awml_deploy.models"


@dataclass(frozen=True, eq=False)
class Sample:
    """One input of a model with an identity that repeats between runs."""

    sample_id: str
    input: Any
    """What the family's pipeline takes, e.g. a PointCloudFrame or an Image."""
    ground_truth: Any = None
    """What is in it, where the source says so: GroundTruth, GroundTruth2D or ClassLabel; else None."""


class LazySamples(Sequence[Sample]):
    """Samples that are loaded when they are indexed; a slice of them loads none."""

    @abstractmethod
    def _load(self, index: int) -> Sample:
        """The sample at a position from 0."""

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> LazySamples: ...
    def __getitem__(self, index: int | slice) -> Sample | LazySamples:
        positions = range(len(self))
        if isinstance(index, slice):
            return _SomeSamples(self, positions[index])
        return self._load(positions[index])


@dataclass(frozen=True, eq=False)
class _SomeSamples(LazySamples):
    source: LazySamples
    positions: range

    def __len__(self) -> int:
        return len(self.positions)

    def _load(self, index: int) -> Sample:
        return self.source._load(self.positions[index])


ModelConfigT = TypeVar("ModelConfigT")


class ModelFamily(Protocol[ModelConfigT]):
    """Everything that is specific to one kind of model.

    Only :meth:`load_model` and the extractor may import torch: opening a bundle and running it
    on a vehicle must not.
    """

    @property
    def name(self) -> str: ...

    @property
    def task(self) -> str:
        """What its models do, by the name of what measures it: ``detection3d``, ``detection2d`` or
        ``classification``, or any other with a metric of the family's own."""
        ...

    def parse_config(self, raw: Mapping[str, Any]) -> ModelConfigT:
        """Validate the ``model`` section of a deploy configuration.

        Raises:
            ConfigError: Any key is unknown or invalid; all problems are listed.
        """
        ...

    def dump_config(self, config: ModelConfigT) -> dict[str, Any]:
        """The inverse of :meth:`parse_config`, JSON-ready, for the manifest."""
        ...

    def component_specs(self, config: ModelConfigT) -> tuple[ComponentSpec, ...]:
        """Components in execution order, without loading the model."""
        ...

    def load_model(self, config: ModelConfigT, checkpoint: Path) -> torch.nn.Module:
        """The model in eval mode on the CPU with strictly loaded weights.

        Raises:
            CheckpointError: Unreadable, or keys are missing, unexpected or of another shape.
        """
        ...

    def extractor(self, config: ModelConfigT) -> ModelComponentExtractor:
        """The extractor of this configuration's components."""
        ...

    def write_bundle_files(self, config: ModelConfigT, folder: Path) -> None:
        """Write the metadata files that the vehicle's own node reads beside the ONNX files."""
        ...

    def read_bundle(self, folder: Path) -> ModelConfigT | None:
        """The configuration of a bundle without a manifest, or None if it is not this family's.

        Raises:
            ArtifactError: It is this family's, but its metadata is invalid.
        """
        ...

    def check_options(self, config: ModelConfigT, options: Mapping[str, Any]) -> None:
        """Say whether :meth:`create_pipeline` would take the run-time options, without sessions.

        Raises:
            ParameterError: Any option is unknown or invalid; all problems are listed.
        """
        ...

    def create_pipeline(
        self, config: ModelConfigT, sessions: Mapping[str, Session], options: Mapping[str, Any]
    ) -> InferencePipeline[Any, Any]:
        """Assemble the pipeline from one session a component and the run-time options.

        Raises:
            ParameterError: Any option is unknown or invalid.
        """
        ...

    def open_samples(
        self,
        source: str,
        limit: int | None = None,
        *,
        config: ModelConfigT | None = None,
        num_past_sweeps: int = 0,
        class_mapping: Mapping[str, str] | None = None,
    ) -> Sequence[Sample]:
        """Samples of a source of the family's kind of input.

        For point clouds: a cloud file, a folder of clouds, a rosbag2 (``PATH#topic``) or an info
        file. The sequence loads a sample when it is indexed.

        Args:
            source: Where the samples are.
            limit: At most this many, from the start.
            config: Whose classes the ground truth is given in; None takes those of the source.
            num_past_sweeps: At most this many past sweeps a sample, where the source lists any.
            class_mapping: Class of the model for each category of the source; None is the family's own.

        Raises:
            DatasetError, BagError, PointCloudError, ImageError: The source is missing or malformed.
        """
        ...


@dataclass(frozen=True, eq=False)
class Probe:
    """Tensors that a model could have written, and what its pipeline must make of them.

    The components do not run: each gives ``outputs`` (zeros where it names none), whatever it is fed.
    """

    name: str
    input: Any
    """What the pipeline takes."""
    outputs: Mapping[str, Mapping[str, npt.NDArray[Any]]]
    """By component and tensor."""
    options: Mapping[str, Any]
    """Run-time options of the pipeline."""
    expected: Any
    """What comes out: for a detector, Detections or Detections2D with distinct scores, best first; for a
    classifier, a Classification."""
    expected_inputs: Mapping[str, Mapping[str, npt.NDArray[Any]]] = field(default_factory=dict)
    """What components must be fed with, by component and tensor; those not named are not checked."""
    channels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What the channels of a tensor of ``expected_inputs`` are called, for messages."""


@runtime_checkable
class ProvidesProbes(Protocol):
    """A model family that can prove its pipeline with known outputs. Optional."""

    def probes(self, config: Any) -> Sequence[Probe]:
        """Probes of every decoder and option that changes what boxes mean; imports no torch.

        They must be made from the documented conventions, not with the code that they prove.
        """
        ...

    def extractor_probes(self, config: Any, model: torch.nn.Module) -> Sequence[Probe]:
        """Probes whose tensors come out of components that were extracted from a model.

        The model, trained or not, is changed so that its own convention says known boxes, and the
        extracted components must say them in the convention of ``config``.
        """
        ...


@runtime_checkable
class ChecksMetadata(Protocol):
    """A model family whose ONNX files say what they are. Optional."""

    def metadata_problems(self, config: Any, component: str, metadata: Mapping[str, str]) -> list[str]:
        """How the metadata properties of a component's file contradict the configuration.

        A property that is missing, as in files of other exporters, contradicts nothing.
        """
        ...


@runtime_checkable
class ProvidesGroundTruth(Protocol):
    """A model family whose ground truth can be read without its inputs. Optional."""

    def ground_truth_by_stamp(self, source: Path, config: Any) -> Mapping[int, Any]:
        """What is in every annotated frame of an info file, by stamp [ns], in the model's classes.

        Raises:
            DatasetError: The file is missing or malformed, or two frames have one stamp.
        """
        ...


def available_families() -> tuple[str, ...]:
    """Names of the installed model families."""
    return plugin_names(GROUP)


def load_family(name: str) -> ModelFamily[Any]:
    """Load a model family by its entry-point name.

    Raises:
        ConfigError: No installed package provides it.
        MissingDependencyError: Its plugin cannot be imported.
    """
    family: ModelFamily[Any] = load_plugin(
        GROUP, name, "model family", "model.family", MissingDependencyError
    )
    return family
