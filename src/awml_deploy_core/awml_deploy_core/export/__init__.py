"""Writes the components of a model for a backend."""

from awml_deploy_core.export.exporter import ExportedArtifact, Exporter
from awml_deploy_core.export.factory import ExporterFactory
from awml_deploy_core.export.options import OnnxExportOptions
from awml_deploy_core.export.tensorrt_exporter import TensorRTExporter
from awml_deploy_core.export.tensorrt_workflow import TensorRTBuildWorkflow
from awml_deploy_core.export.workflow import ExportProgress, OnnxExportWorkflow

__all__ = [
    "ExportProgress",
    "ExportedArtifact",
    "Exporter",
    "ExporterFactory",
    "OnnxExportOptions",
    "OnnxExportWorkflow",
    "TensorRTBuildWorkflow",
    "TensorRTExporter",
]
