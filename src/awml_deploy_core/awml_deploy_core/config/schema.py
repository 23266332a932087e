"""What a deploy.yaml may say: data and per-field validation, no behaviour.

The docstring under a field is its entry in the generated configuration reference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from awml_deploy_core.config.evaluation_schema import EvaluationSection
from awml_deploy_core.config.precision_schema import PrecisionSection
from awml_deploy_core.config.tensorrt_schema import TensorRTSection
from awml_deploy_core.config.values import ConfigPath, Device, Name, SampleSource, Section
from awml_deploy_core.config.verification import ExportMode, VerificationSection


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

    mode: ExportMode = "onnx"
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
    precision: PrecisionSection = PrecisionSection()
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
