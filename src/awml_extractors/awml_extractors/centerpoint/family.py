"""CenterPoint as a model family (entry point ``centerpoint`` of ``awml_deploy.models``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awml_deploy_core.components import ComponentSpec, ModelComponentExtractor
from awml_deploy_core.family import Probe, Sample
from awml_deploy_core.ground_truth import GroundTruth
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.runtime.session import Session
from awml_extractors.centerpoint import bundle_files, specs, variants
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.metadata import metadata_problems

if TYPE_CHECKING:
    import torch

    from awml_deploy_core.awml_import import AwmlModel, AwmlSource


class CenterPointFamily:
    """Implements :class:`awml_deploy_core.family.ModelFamily` for CenterPoint."""

    @property
    def name(self) -> str:
        return "centerpoint"

    @property
    def task(self) -> str:
        return "detection3d"

    def parse_config(self, raw: Mapping[str, Any]) -> CenterPointConfig:
        """See :func:`awml_extractors.centerpoint.variants.parse_config`."""
        return variants.parse_config(raw)

    def dump_config(self, config: CenterPointConfig) -> dict[str, Any]:
        """Every key of the configuration, JSON-ready."""
        return config.model_dump(mode="json")

    def component_specs(self, config: CenterPointConfig) -> tuple[ComponentSpec, ...]:
        """``pts_voxel_encoder``, ``pts_backbone_neck_head``."""
        return specs.component_specs(config)

    def load_model(self, config: CenterPointConfig, checkpoint: Path) -> torch.nn.Module:
        """See :func:`awml_extractors.centerpoint.checkpoint.load_checkpoint`."""
        from awml_extractors.centerpoint.checkpoint import load_checkpoint

        return load_checkpoint(config, checkpoint)

    def extractor(self, config: CenterPointConfig) -> ModelComponentExtractor:
        """The extractor of both components."""
        from awml_extractors.centerpoint.extractor import CenterPointComponentExtractor

        return CenterPointComponentExtractor(config)

    def write_bundle_files(self, config: CenterPointConfig, folder: Path) -> None:
        """Autoware's parameter files; see :mod:`awml_extractors.centerpoint.bundle_files`."""
        bundle_files.write_bundle_files(config, folder)

    def read_bundle(self, folder: Path) -> CenterPointConfig | None:
        """The configuration of an Autoware bundle, or None if ``folder`` is not one."""
        return bundle_files.read_bundle(folder)

    def check_options(self, config: CenterPointConfig, options: Mapping[str, Any]) -> None:
        """See :meth:`awml_extractors.centerpoint.options.PostprocessOptions.merged`."""
        config.postprocess.merged(options, config.class_names)

    def create_pipeline(
        self, config: CenterPointConfig, sessions: Mapping[str, Session], options: Mapping[str, Any]
    ) -> InferencePipeline[Any, Any]:
        """The pipeline from point clouds to detections, of the host or of the GPU."""
        from awml_extractors.centerpoint.pipeline_choice import create_pipeline

        return create_pipeline(config, sessions, options)

    def open_samples(
        self,
        source: str,
        limit: int | None = None,
        *,
        config: CenterPointConfig | None = None,
        num_past_sweeps: int = 0,
        class_mapping: Mapping[str, str] | None = None,
    ) -> Sequence[Sample]:
        """Point clouds of a file, a folder, a rosbag2 or an info file.

        Without a mapping, categories named as a class of the model are that class, others what
        ``AUTOWARE_CLASSES`` says.
        """
        from awml_extractors.datasets.samples import open_samples

        names = None if config is None else config.class_names
        if class_mapping is None and names is not None:
            class_mapping = _classes_of(names)
        return open_samples(
            source,
            limit,
            num_past_sweeps=num_past_sweeps,
            class_mapping=class_mapping,
            class_names=names,
        )

    def ground_truth_by_stamp(self, source: Path, config: CenterPointConfig) -> Mapping[int, GroundTruth]:
        """See :func:`awml_extractors.datasets.infos.ground_truth_by_stamp`; classes as of open_samples."""
        from awml_extractors.datasets.infos import ground_truth_by_stamp

        return ground_truth_by_stamp(source, _classes_of(config.class_names), config.class_names)

    def probes(self, config: CenterPointConfig) -> Sequence[Probe]:
        """See :func:`awml_extractors.centerpoint.probe.probes`."""
        from awml_extractors.centerpoint.probe import probes

        return probes(config)

    def extractor_probes(self, config: CenterPointConfig, model: torch.nn.Module) -> Sequence[Probe]:
        """See :func:`awml_extractors.centerpoint.extractor_probe.extractor_probes`."""
        from awml_extractors.centerpoint.extractor_probe import extractor_probes

        return extractor_probes(config, model)

    def metadata_problems(
        self, config: CenterPointConfig, component: str, metadata: Mapping[str, str]
    ) -> list[str]:
        """See :func:`awml_extractors.centerpoint.metadata.metadata_problems`."""
        return metadata_problems(config, component, metadata)

    def import_awml(self, source: AwmlSource) -> AwmlModel | None:
        """See :func:`awml_extractors.centerpoint.awml.import_awml`."""
        from awml_extractors.centerpoint.awml import import_awml

        return import_awml(source)


def _classes_of(names: Sequence[str]) -> dict[str, str]:
    """Class of the model for every category that has one."""
    from awml_extractors.datasets.info_file import AUTOWARE_CLASSES

    return {**AUTOWARE_CLASSES, **{name: name for name in names}}
