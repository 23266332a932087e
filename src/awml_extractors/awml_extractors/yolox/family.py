"""YOLOX as a model family (entry point ``yolox`` of ``awml_deploy.models``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awml_deploy_core.components import ComponentSpec, ModelComponentExtractor, SimpleComponentExtractor
from awml_deploy_core.errors import DatasetError
from awml_deploy_core.family import Probe, Sample
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.runtime.session import Session
from awml_extractors.yolox import bundle_files
from awml_extractors.yolox import config as configuration
from awml_extractors.yolox.config import YoloxConfig
from awml_extractors.yolox.specs import component_spec

if TYPE_CHECKING:
    import torch

    from awml_deploy_core.awml_import import AwmlModel, AwmlSource


class YoloxFamily:
    """Implements :class:`awml_deploy_core.family.ModelFamily` for YOLOX."""

    @property
    def name(self) -> str:
        return "yolox"

    @property
    def task(self) -> str:
        return "detection2d"

    def parse_config(self, raw: Mapping[str, Any]) -> YoloxConfig:
        """See :func:`awml_extractors.yolox.config.parse_config`."""
        return configuration.parse_config(raw)

    def dump_config(self, config: YoloxConfig) -> dict[str, Any]:
        """Every key of the configuration, JSON-ready."""
        return config.model_dump(mode="json")

    def component_specs(self, config: YoloxConfig) -> tuple[ComponentSpec, ...]:
        """``yolox``."""
        return (component_spec(config),)

    def load_model(self, config: YoloxConfig, checkpoint: Path) -> torch.nn.Module:
        """See :func:`awml_extractors.yolox.checkpoint.load_checkpoint`."""
        from awml_extractors.yolox.checkpoint import load_checkpoint

        return load_checkpoint(config, checkpoint)

    def extractor(self, config: YoloxConfig) -> ModelComponentExtractor:
        """The whole network is the only component."""
        return SimpleComponentExtractor(component_spec(config))

    def write_bundle_files(self, config: YoloxConfig, folder: Path) -> None:
        """The files of Autoware's node; see :mod:`awml_extractors.yolox.bundle_files`."""
        bundle_files.write_bundle_files(config, folder)

    def read_bundle(self, folder: Path) -> YoloxConfig | None:
        """The configuration of an Autoware bundle, or None if ``folder`` is not one."""
        return bundle_files.read_bundle(folder)

    def check_options(self, config: YoloxConfig, options: Mapping[str, Any]) -> None:
        """See :meth:`awml_extractors.yolox.options.YoloxOptions.merged`."""
        config.options.merged(options)

    def create_pipeline(
        self, config: YoloxConfig, sessions: Mapping[str, Session], options: Mapping[str, Any]
    ) -> InferencePipeline[Any, Any]:
        """The pipeline from images to 2D detections, of the host or of the GPU."""
        from awml_extractors.yolox.pipeline_choice import create_pipeline

        return create_pipeline(config, sessions, options)

    def open_samples(
        self,
        source: str,
        limit: int | None = None,
        *,
        config: YoloxConfig | None = None,
        num_past_sweeps: int = 0,
        class_mapping: Mapping[str, str] | None = None,
    ) -> Sequence[Sample]:
        """See :func:`awml_extractors.datasets.coco.open_images`."""
        from awml_extractors.datasets.coco import open_images

        if num_past_sweeps:
            raise DatasetError(source, "has no past sweeps", got=num_past_sweeps, expected="0")
        names = None if config is None else config.class_names
        return open_images(source, limit, class_names=names, class_mapping=class_mapping)

    def probes(self, config: YoloxConfig) -> Sequence[Probe]:
        """See :func:`awml_extractors.yolox.probe.probes`."""
        from awml_extractors.yolox.probe import probes

        return probes(config)

    def extractor_probes(self, config: YoloxConfig, model: torch.nn.Module) -> Sequence[Probe]:
        """See :func:`awml_extractors.yolox.extractor_probe.extractor_probes`."""
        from awml_extractors.yolox.extractor_probe import extractor_probes

        return extractor_probes(config, model)

    def import_awml(self, source: AwmlSource) -> AwmlModel | None:
        """See :func:`awml_extractors.yolox.awml.import_awml`."""
        from awml_extractors.yolox.awml import import_awml

        return import_awml(source)
