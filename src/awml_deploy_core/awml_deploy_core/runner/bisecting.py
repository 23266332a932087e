"""Searches a component that failed alone, with what the deployment has at hand."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_core.artifacts.manager import ONNXRUNTIME
from awml_deploy_core.errors import AwmlDeployError, ConfigError
from awml_deploy_core.export import ExporterFactory, OnnxExportOptions
from awml_deploy_core.verification import Scenario, Tolerances
from awml_deploy_core.verification.bisect import Bisection, bisect_execution, bisect_file
from awml_deploy_core.verification.sample_checks import Arrays

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True)
class BundleBisector:
    """Compares a component's file with the trained model's, and its execution with the plain one.

    The first needs the checkpoint and the packages of the export; the second an endpoint of ONNX
    Runtime. What is not possible is said in the result, never raised.
    """

    bundle: ModelBundle
    checkpoint: Path | None
    options: OnnxExportOptions
    """Those of the export that is configured; a manifest's own come first."""

    def __call__(
        self, scenario: Scenario, component: str, inputs: Arrays, tolerances: Tolerances
    ) -> Bisection:
        """Search one component with the inputs that it failed with."""
        file = self.bundle.onnx_path(component)
        (spec,) = (spec for spec in self.bundle.specs if spec.name == component)
        values = [inputs[tensor.name] for tensor in spec.inputs]
        try:
            found = None
            if self.checkpoint is not None:
                with tempfile.TemporaryDirectory() as folder:
                    reference = self._export(component, Path(folder))
                    found = bisect_file(component, file, reference, values, tolerances)
                if found.divergence or found.changed_weights or found.changed_nodes:
                    return found
            ends = [end for end in (scenario.test, scenario.reference) if end.backend == ONNXRUNTIME]
            if not ends:
                return found or Bisection(
                    component, "nothing", 0, None, note="neither side runs the file in ONNX Runtime"
                )
            provider = _PROVIDERS[ends[0].device.kind]
            return bisect_execution(component, file, provider, values, tolerances)
        except AwmlDeployError as error:
            return Bisection(component, "nothing", 0, None, note=f"the search ended: {error}")

    def _export(self, component: str, folder: Path) -> Path:
        family, config = self.bundle.family, self.bundle.config
        if self.checkpoint is None:
            raise ConfigError("checkpoint_path", "is needed to export a component again")
        model = family.load_model(config, self.checkpoint)
        (found,) = (item for item in family.extractor(config).extract(model) if item.spec.name == component)
        (folder / found.spec.onnx_file).parent.mkdir(parents=True, exist_ok=True)
        exporter = ExporterFactory.from_options(onnx=self._options(component)).create("onnx")
        return exporter.export(found, folder).path

    def _options(self, component: str) -> OnnxExportOptions:
        """The options that the bundle was exported with, as far as they are known."""
        manifest = self.bundle.manifest
        recorded: Any = manifest.provenance.export.get(component, {}) if manifest else {}
        options = recorded.get("options") if isinstance(recorded, dict) else None
        if not isinstance(options, dict):
            return self.options
        try:
            return OnnxExportOptions(**options)
        except (TypeError, ConfigError):
            # Another version's; the configured ones are as good a guess.
            return self.options
