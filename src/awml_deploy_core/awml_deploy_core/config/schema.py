"""What a deploy.yaml may say: data and per-field validation, no behaviour.

The docstring under a field is its entry in the generated configuration reference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from awml_deploy_core.config.evaluation_schema import EvaluationSection
from awml_deploy_core.config.tensorrt_schema import TensorRTSection
from awml_deploy_core.config.values import ConfigPath, Device, Name, NonNegative, SampleSource, Section
from awml_deploy_core.config.values import EndpointSection as EndpointSection


class ModelSection(BaseModel):
    """Which model: the family, and everything that the family itself validates."""

    model_config = ConfigDict(frozen=True, extra="allow")

    family: str
    """Entry-point name of the model family, e.g. `centerpoint`. The other keys of this section
    are the family's own."""


class OnnxSection(Section):
    """How components become ONNX files."""

    opset_version: Annotated[int, Field(ge=11, le=23)] = 17
    """ONNX operator set."""
    constant_folding: bool = True
    """Fold constant subgraphs."""
    simplify: bool = True
    """Fold batch normalisation and remove redundant nodes after export."""
    graph_capture: Literal["auto", "dynamo", "torchscript"] = "auto"
    """`dynamo` uses torch.export, `torchscript` traces, `auto` takes the first that works."""


class ExportSection(Section):
    """What is exported."""

    mode: Literal["onnx", "trt", "both", "none"] = "onnx"
    """`onnx` writes the bundle, `trt` builds engines in the bundle that is already there, `both` does one
    after the other, `none` uses what is there."""
    onnx: OnnxSection = OnnxSection()
    tensorrt: TensorRTSection = TensorRTSection()

    @property
    def writes_bundle(self) -> bool:
        """Whether the checkpoint is exported."""
        return self.mode in ("onnx", "both")

    @property
    def builds_engines(self) -> bool:
        """Whether engines are built."""
        return self.mode in ("trt", "both")


class RuntimeSection(Section):
    """Where and how inference runs."""

    backend: str = "onnxruntime"
    """Entry-point name of the backend."""
    device: Device = "cpu"
    """`cpu`, `cuda` or `cuda:N`."""
    num_threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """CPU threads of one operator; 0 leaves the choice to the backend."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Run-time options of the model family, e.g. thresholds of the post-processing."""


class ScenarioSection(Section):
    """A reference backend against a test backend."""

    name: str = ""
    """Name in reports; empty is `<reference> vs <test>`."""
    reference: EndpointSection
    """What is taken as right."""
    test: EndpointSection
    """What is checked against it."""
    required: bool = True
    """Whether a backend that cannot run here fails the run (true) or skips the scenario (false)."""

    @property
    def title(self) -> str:
        """The name, or one made of both sides."""
        return self.name or f"{self.reference} vs {self.test}"


class TensorTolerance(Section):
    """Limits for one tensor; a limit left empty is not checked."""

    relative: NonNegative | None = 1e-4
    """Largest absolute difference over the largest absolute reference value."""
    max_abs: NonNegative | None = None
    """Largest absolute difference."""
    mean_abs: NonNegative | None = None
    """Mean absolute difference."""
    min_cosine: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Least cosine similarity of the flattened tensors."""

    @model_validator(mode="after")
    def _some_limit(self) -> TensorTolerance:
        if all(limit is None for limit in (self.relative, self.max_abs, self.mean_abs, self.min_cosine)):
            raise ValueError("at least one limit is needed: relative, max_abs, mean_abs or min_cosine")
        return self


class BoxTolerance(Section):
    """Limits for decoded boxes matched one to one within a class."""

    match_distance: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.5
    """Centres farther apart [m] are not the same box."""
    position: NonNegative = 0.01
    """Distance of the centres [m]."""
    size: NonNegative = 0.01
    """Difference of length, width or height [m]."""
    yaw: NonNegative = 0.01
    """Difference of the heading modulo a full turn [rad]."""
    velocity: NonNegative = 0.05
    """Length of the difference of the velocities [m/s]."""
    score: NonNegative = 1e-3
    """Difference of the scores."""
    max_unmatched: Annotated[int, Field(ge=0)] = 0
    """Boxes of either side that may stay without a partner in one sample."""


class ToleranceSection(Section):
    """How much two backends may differ."""

    default: TensorTolerance = TensorTolerance()
    """For every tensor not named below."""
    outputs: dict[str, TensorTolerance] = Field(default_factory=dict)
    """By tensor name, e.g. `heatmap`."""
    boxes: BoxTolerance = BoxTolerance()


def _default_scenarios() -> tuple[ScenarioSection, ...]:
    return (
        ScenarioSection(
            reference=EndpointSection(backend="pytorch"), test=EndpointSection(backend="onnxruntime")
        ),
    )


class VerificationSection(Section):
    """Which backends must agree, on what, and how closely."""

    enabled: bool = True
    """Whether `run` verifies. `verify` always does."""
    samples: tuple[SampleSource, ...] = ()
    """Cloud files, folders of clouds, rosbag2 folders or info files; `PATH#topic` chooses a bag's topic."""
    num_samples: Annotated[int, Field(ge=-1)] = 8
    """How many samples of all sources together; -1 is all."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Chooses which samples; the same seed gives the same samples."""
    scenarios: tuple[ScenarioSection, ...] = Field(default_factory=_default_scenarios)
    """Default: `pytorch:cpu` against `onnxruntime:cpu`."""
    tolerances: ToleranceSection = ToleranceSection()


class InferSection(Section):
    """Defaults of `infer`."""

    source: SampleSource | None = None
    """Cloud file, folder of clouds, rosbag2 folder (`PATH#topic`) or info file."""
    limit: Annotated[int, Field(gt=0)] | None = None
    """Most frames to run; empty is all."""
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Boxes below this score are left out of results and pictures."""


class LoggingSection(Section):
    """Log lines on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level shown."""
    format: Literal["text", "json"] = "text"
    """`text` for people, `json` one object a line for machines."""


class DeployConfig(Section):
    """One deployable model: where it comes from, what is made of it and how it is checked."""

    name: Name
    """Name of this deployment, used in reports and file names."""
    model: ModelSection
    checkpoint_path: ConfigPath | None = None
    """Trained weights; needed for export and for the pytorch backend."""
    work_dir: ConfigPath
    """Folder of everything that is written."""
    bundle_path: ConfigPath | None = None
    """Folder of the model bundle; empty is `<work_dir>/bundle`."""
    export: ExportSection = ExportSection()
    runtime: RuntimeSection = RuntimeSection()
    verification: VerificationSection = VerificationSection()
    evaluation: EvaluationSection = EvaluationSection()
    infer: InferSection = InferSection()
    logging: LoggingSection = LoggingSection()

    @property
    def bundle(self) -> Path:
        """Folder of the model bundle."""
        return self.bundle_path or self.work_dir / "bundle"

    @property
    def report_dir(self) -> Path:
        """Folder of the JSON reports."""
        return self.work_dir / "reports"
