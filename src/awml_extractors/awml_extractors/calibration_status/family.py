"""Calibration status as a model family (entry point ``calibration_status`` of ``awml_deploy.models``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awml_deploy_core.components import ComponentSpec, ModelComponentExtractor, SimpleComponentExtractor
from awml_deploy_core.errors import DatasetError
from awml_deploy_core.family import Probe, Sample
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.runtime.session import Session
from awml_extractors.calibration_status import bundle_files
from awml_extractors.calibration_status import config as configuration
from awml_extractors.calibration_status.config import CalibrationStatusConfig
from awml_extractors.calibration_status.specs import component_spec

if TYPE_CHECKING:
    import torch

    from awml_deploy_core.awml_import import AwmlModel, AwmlSource


class CalibrationStatusFamily:
    """Implements :class:`awml_deploy_core.family.ModelFamily` for the classifier."""

    @property
    def name(self) -> str:
        return "calibration_status"

    @property
    def task(self) -> str:
        return "classification"

    def parse_config(self, raw: Mapping[str, Any]) -> CalibrationStatusConfig:
        """See :func:`awml_extractors.calibration_status.config.parse_config`."""
        return configuration.parse_config(raw)

    def dump_config(self, config: CalibrationStatusConfig) -> dict[str, Any]:
        """Every key of the configuration, JSON-ready."""
        return config.model_dump(mode="json")

    def component_specs(self, config: CalibrationStatusConfig) -> tuple[ComponentSpec, ...]:
        """``calibration_status_classifier``."""
        return (component_spec(config),)

    def load_model(self, config: CalibrationStatusConfig, checkpoint: Path) -> torch.nn.Module:
        """See :func:`awml_extractors.calibration_status.checkpoint.load_checkpoint`."""
        from awml_extractors.calibration_status.checkpoint import load_checkpoint

        return load_checkpoint(config, checkpoint)

    def extractor(self, config: CalibrationStatusConfig) -> ModelComponentExtractor:
        """The whole network is the only component."""
        return SimpleComponentExtractor(component_spec(config))

    def write_bundle_files(self, config: CalibrationStatusConfig, folder: Path) -> None:
        """Autoware's parameter file."""
        bundle_files.write_bundle_files(config, folder)

    def read_bundle(self, folder: Path) -> CalibrationStatusConfig | None:
        """The configuration of an Autoware bundle, or None if ``folder`` is not one."""
        return bundle_files.read_bundle(folder)

    def check_options(self, config: CalibrationStatusConfig, options: Mapping[str, Any]) -> None:
        """See :meth:`awml_extractors.calibration_status.config.CalibrationStatusOptions.merged`."""
        config.options.merged(options)

    def create_pipeline(
        self, config: CalibrationStatusConfig, sessions: Mapping[str, Session], options: Mapping[str, Any]
    ) -> InferencePipeline[Any, Any]:
        """The pipeline from an image and a cloud to a classification."""
        from awml_extractors.calibration_status.pipeline import CalibrationStatusPipeline

        return CalibrationStatusPipeline(config, sessions, options)

    def open_samples(
        self,
        source: str,
        limit: int | None = None,
        *,
        config: CalibrationStatusConfig | None = None,
        num_past_sweeps: int = 0,
        class_mapping: Mapping[str, str] | None = None,
    ) -> Sequence[Sample]:
        """See :func:`awml_extractors.datasets.lidar_camera.open_lidar_camera`."""
        from awml_extractors.datasets.lidar_camera import open_lidar_camera

        if num_past_sweeps:
            raise DatasetError(source, "has no past sweeps", got=num_past_sweeps, expected="0")
        if class_mapping:
            raise DatasetError(source, "has no categories to map", got=dict(class_mapping))
        return open_lidar_camera(source, limit)

    def probes(self, config: CalibrationStatusConfig) -> Sequence[Probe]:
        """See :func:`awml_extractors.calibration_status.probe.probes`."""
        from awml_extractors.calibration_status.probe import probes

        return probes(config)

    def extractor_probes(self, config: CalibrationStatusConfig, model: torch.nn.Module) -> Sequence[Probe]:
        """See :func:`awml_extractors.calibration_status.probe.extractor_probes`."""
        from awml_extractors.calibration_status.probe import extractor_probes

        return extractor_probes(config, model)

    def import_awml(self, source: AwmlSource) -> AwmlModel | None:
        """See :func:`awml_extractors.calibration_status.awml.import_awml`."""
        from awml_extractors.calibration_status.awml import import_awml

        return import_awml(source)
