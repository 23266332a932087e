"""Verifies the bundle of one deployment: the bundle itself, boxes at known places, all scenarios."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_core.artifacts.manager import PYTORCH
from awml_deploy_core.config import LoadedConfig
from awml_deploy_core.config.scenarios import chosen_scenarios
from awml_deploy_core.config.verification import Precision
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import AwmlDeployError, DatasetError
from awml_deploy_core.export import OnnxExportOptions
from awml_deploy_core.family import ModelFamily, Probe, ProvidesProbes, Sample
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.progress import Progress
from awml_deploy_core.reporting.verification_build import verification_record
from awml_deploy_core.reporting.verification_result import VerificationRecord
from awml_deploy_core.runner.bisecting import BundleBisector
from awml_deploy_core.runner.verification_pictures import WorstFrames
from awml_deploy_core.runtime.registry import load_backend
from awml_deploy_core.verification import (
    CheckResult,
    Endpoint,
    Scenario,
    Status,
    VerificationOrchestrator,
    VerificationResult,
    VerificationSettings,
)
from awml_deploy_core.verification.bundle_checks import bundle_checks, recorded_precision
from awml_deploy_core.verification.comparators import compare_results
from awml_deploy_core.verification.half_range import half_range_problem
from awml_deploy_core.verification.orchestrator import session_precision
from awml_deploy_core.verification.probing import PROBE, Decoder, run_probes
from awml_deploy_core.verification.sample_checks import Arrays
from awml_deploy_core.verification.sampling import ChosenSamples, source_names
from awml_deploy_core.verification.tolerances import coarsest

EndpointOpener = Callable[[Endpoint], InferencePipeline[Any, Any]]


def run_verification(
    loaded: LoadedConfig,
    bundle: ModelBundle,
    open_endpoint: EndpointOpener,
    progress: Progress,
    *,
    pictures: Path | None = None,
) -> VerificationRecord:
    """Compare what the configuration says.

    Args:
        loaded: The configuration.
        bundle: What is verified.
        open_endpoint: Opens the pipeline of a backend.
        progress: Told after every sample.
        pictures: Folder for pictures of the frames that agree least.

    Raises:
        ArtifactError: The checkpoint cannot be read, or a picture not be written.
        DatasetError, BagError: A source of samples is missing or malformed.
    """
    section, checkpoint = loaded.deploy.verification, loaded.deploy.checkpoint_path
    config = None if pictures is None else bundle.config
    opened = [_open(loaded.family, source, config) for source in section.samples]
    named = list(zip(source_names(section.samples), opened, strict=True))
    samples = ChosenSamples(named, section.num_samples, section.seed)
    worst = None if pictures is None else WorstFrames()
    verifier = BundleVerifier(
        loaded,
        bundle,
        open_endpoint,
        checkpoint if checkpoint is not None and checkpoint.is_file() else None,
        progress,
        worst,
    )
    result, probe_seconds = verifier.run(samples)
    drawn = worst.draw(pictures) if worst is not None and pictures is not None else None
    return verification_record(result, section.samples, len(samples), probe_seconds, drawn)


def _open(family: ModelFamily[Any], source: str, config: Any) -> Sequence[Sample]:
    """Samples, with ground truth in the classes of ``config`` where the source has any of them."""
    if config is not None:
        with suppress(DatasetError):
            return family.open_samples(source, config=config)
    return family.open_samples(source)


@dataclass(frozen=True, eq=False)
class BundleVerifier:
    """Everything that is verified about one bundle."""

    loaded: LoadedConfig
    bundle: ModelBundle
    open_endpoint: EndpointOpener
    checkpoint: Path | None
    progress: Progress
    worst: WorstFrames | None = None
    """Is shown every frame."""

    def run(self, samples: Sequence[Sample]) -> tuple[VerificationResult, float]:
        """The result, and the seconds that the probes took.

        Raises:
            ArtifactError: The checkpoint cannot be read.
        """
        deploy = self.loaded.deploy
        section = deploy.verification
        scenarios = [Scenario.from_section(item) for item in chosen_scenarios(deploy)]
        configured = None
        if self.loaded.origin.is_file():
            configured = self.loaded.family.dump_config(self.loaded.model)
        checks = list(bundle_checks(self.bundle, configured, self.checkpoint))
        start = time.monotonic()
        if PROBE in section.levels:
            self.progress("probe", 0, 1)
            checks += self._probe(scenarios)
            self.progress("probe", 1, 1)
        seconds = time.monotonic() - start
        onnx = deploy.export.onnx
        options = OnnxExportOptions(
            onnx.opset_version, onnx.constant_folding, onnx.simplify, onnx.graph_capture
        )
        settings = VerificationSettings(
            section.tolerances,
            frozenset(section.levels),
            self._precision_of,
            partial(compare_results, family=self.bundle.family),
            names_are_fixed=not self.bundle.is_foreign,
            half_range=self._half_range if importlib.util.find_spec("onnx") else None,
            bisect=BundleBisector(self.bundle, self.checkpoint, options) if section.bisect else None,
        )
        if self.worst is not None:
            settings = replace(settings, on_output=self.worst.note)
        orchestrator = VerificationOrchestrator(self.open_endpoint, settings, self.progress)
        return orchestrator.run(scenarios, samples).with_checks(checks), seconds

    def _half_range(self, component: str, inputs: Arrays) -> str:
        (spec,) = (spec for spec in self.bundle.specs if spec.name == component)
        values = [inputs[tensor.name] for tensor in spec.inputs]
        return half_range_problem(self.bundle.onnx_path(component), values)

    def _precision_of(self, endpoint: Endpoint, pipeline: InferencePipeline[Any, Any]) -> Precision:
        """What the sessions say, and for those that run the bundle's files what its manifest says."""
        files = [] if endpoint.backend == PYTORCH else [recorded_precision(self.bundle.manifest)]
        return coarsest([*files, session_precision(endpoint, pipeline)])

    def _probe(self, scenarios: Sequence[Scenario]) -> Iterator[CheckResult]:
        family = self.bundle.family
        if not isinstance(family, ProvidesProbes):
            yield _skipped(f"model family {family.name} provides no probe")
            return
        devices = list(dict.fromkeys(_usable_devices(scenarios)))
        decoders = [Decoder("bundle", self.bundle.config, device) for device in devices]
        vehicle = None if self.bundle.is_foreign else family.read_bundle(self.bundle.folder)
        if vehicle is not None:
            decoders += [Decoder("files of the vehicle's node", vehicle, device) for device in devices]
        # What is configured goes in and the bundle decodes it, so that a bundle of other geometry,
        # classes or conventions gives boxes elsewhere.
        same_family = self.loaded.family.name == family.name
        config = self.loaded.model if same_family else self.bundle.config
        yield from run_probes(family, family.probes(config), decoders)
        yield from self._probe_extractor(family, devices)

    def _probe_extractor(
        self, family: ProvidesProbes, devices: Sequence[DeviceSpec]
    ) -> Iterator[CheckResult]:
        if self.checkpoint is None or importlib.util.find_spec("torch") is None:
            yield _skipped("the extractor is probed with a checkpoint and torch only")
            return
        config = self.bundle.config
        try:
            model = self.bundle.family.load_model(config, self.checkpoint)
            probes: Sequence[Probe] = family.extractor_probes(config, model)
        except AwmlDeployError as error:
            yield CheckResult(f"{PROBE} / extractor", Status.ERROR, str(error), details={"level": PROBE})
            return
        decoders = [Decoder("bundle", config, device) for device in devices]
        yield from run_probes(self.bundle.family, probes, decoders)


def _skipped(reason: str) -> CheckResult:
    return CheckResult(PROBE, Status.SKIPPED, reason, required=False, details={"level": PROBE})


def _usable_devices(scenarios: Sequence[Scenario]) -> Iterator[DeviceSpec]:
    """Devices that any endpoint can use here; the CPU always is."""
    yield DeviceSpec.parse("cpu")
    for scenario in scenarios:
        for end in (scenario.reference, scenario.test):
            try:
                if load_backend(end.backend).availability(end.device):
                    yield end.device
            except AwmlDeployError:
                # The scenario itself reports a backend that cannot be loaded.
                continue
