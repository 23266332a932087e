"""How components become ONNX files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from awml_deploy_core.errors import ConfigError

GraphCapture = Literal["auto", "dynamo", "torchscript"]

MIN_OPSET = 11


@dataclass(frozen=True)
class OnnxExportOptions:
    """Settings of the ONNX export.

    Raises:
        ConfigError: A value is out of range.
    """

    opset_version: int = 17
    constant_folding: bool = True
    """Fold constant subgraphs while exporting."""
    simplify: bool = True
    """Fold batch normalisation into convolutions and remove redundant nodes with onnxslim."""
    graph_capture: GraphCapture = "auto"
    """``dynamo``: torch.export; ``torchscript``: torch's tracing exporter; ``auto``: dynamo, and
    torchscript where dynamo cannot give this opset."""

    def __post_init__(self) -> None:
        problems = []
        if self.opset_version < MIN_OPSET:
            problems.append(f"opset_version {self.opset_version} is below {MIN_OPSET}")
        if self.graph_capture not in get_args(GraphCapture):
            problems.append(
                f"graph_capture {self.graph_capture!r} is not one of {', '.join(get_args(GraphCapture))}"
            )
        if problems:
            raise ConfigError("ONNX export options", "are invalid", problems=problems)
