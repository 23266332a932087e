"""Writes one component of a bundle as a TensorRT engine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from filelock import Timeout

from awml_deploy_core.errors import ArtifactError, MissingDependencyError
from awml_deploy_core.export.engine_build import build_engine
from awml_deploy_core.export.engine_plan import EnginePlan, EngineSource, load_graph, plan_engines
from awml_deploy_core.export.engine_progress import FULL
from awml_deploy_core.export.exporter import ExportedArtifact
from awml_deploy_core.export.precision import apply_precision
from awml_deploy_core.files import folder_lock, io_errors
from awml_deploy_core.packages import installed_versions
from awml_deploy_core.runtime.cuda_driver import CudaDevice, cuda_device, current_device
from awml_deploy_core.runtime.trt.cache import EngineCache, EngineRecord
from awml_deploy_core.runtime.trt.key import Environment
from awml_deploy_core.runtime.trt.library import TensorRTLibrary, find_library
from awml_deploy_core.runtime.trt.settings import EngineSettings

_LOG = logging.getLogger(__name__)

Percent = Callable[[str, int], None]
"""Told a component and the percentage of its build that is done."""


def _no_percent(component: str, percent: int) -> None:
    """Tell nobody."""


class TensorRTExporter:
    """Builds engines from ONNX files alone: neither the checkpoint nor torch is needed.

    Args:
        settings: The user's choices.
        device_index: The GPU that TensorRT builds on.
        library: What builds; None finds what the settings choose.
        rebuild: Whether to build even what is there.
        on_percent: Told how far a build is.
    """

    def __init__(
        self,
        settings: EngineSettings | None = None,
        *,
        device_index: int = 0,
        library: TensorRTLibrary | None = None,
        rebuild: bool = False,
        on_percent: Percent = _no_percent,
    ) -> None:
        self._settings = settings or EngineSettings()
        self._device_index = device_index
        self._library = library
        self._rebuild = rebuild
        self._on_percent = on_percent

    def plan(self, sources: tuple[EngineSource, ...], folder: Path) -> tuple[EnginePlan, ...]:
        """What :meth:`export` would do for each component of a bundle, without doing it.

        Raises:
            ConfigError: Profiles, precision or settings are wrong; every problem is listed.
            ArtifactError: A file is missing or cannot be read.
            BackendUnavailableError: TensorRT has no GPU to build on.
            MissingDependencyError: TensorRT or onnx is not installed.
        """
        library = self._find_library()
        return plan_engines(
            sources,
            EngineCache(folder),
            library,
            self._gpu(),
            self._settings,
            rebuild=self._rebuild,
        )

    def export(self, source: EngineSource, folder: Path) -> ExportedArtifact:
        """Put the component's engine into the cache of the bundle ``folder``, or find it there.

        One process at a time writes a bundle; another one that wants the same engine waits here and
        then takes what was built.

        Raises:
            ExportError: The engine cannot be built; the library's messages are listed.
            ArtifactError: A file cannot be read or written, or the engine is missing or stale and
                the settings refuse to build.
            ConfigError, BackendUnavailableError, MissingDependencyError: As :meth:`plan`.
        """
        (plan,) = self.plan((source,), folder)
        if plan.engine is not None:
            return _artifact(plan.engine, folder, reused=True)
        if plan.action == "refuse":
            raise refusal(plan)
        start = time.perf_counter()
        with held_lock(folder):
            # While this one waited, another may have built the engine or exchanged the ONNX file.
            (fresh,) = self.plan((source,), folder)
            if fresh.engine is not None:
                return _artifact(fresh.engine, folder, reused=True)
            record = self._build(fresh, folder, start)
        return _artifact(record, folder, reused=False)

    def _build(self, plan: EnginePlan, folder: Path, start: float) -> EngineRecord:
        library, settings = self._find_library(), self._settings
        cache, component = EngineCache(folder), plan.key.component
        gpu = self._gpu()
        model, change = apply_precision(
            load_graph(plan.source.onnx_path), settings.policy, f"component {component}"
        )
        timings = f"timing-{library.name}-{library.version}-{plan.key.target.compute_capability}.cache"
        # TensorRT builds on the current device, whatever the key says.
        with current_device(self._device_index):
            built = build_engine(
                library,
                model.SerializeToString(deterministic=True),
                plan.source.onnx_path,
                plan.key.profile,
                settings,
                timings=cache.timing_cache(timings) if library.has_timing_cache else b"",
                inspect=gpu is not None and not plan.key.target.misfits(Environment.of(library, gpu)),
                on_progress=lambda percent: self._on_percent(component, percent),
            )
        record = cache.store(
            plan.key,
            built.content,
            built.layers,
            seconds=time.perf_counter() - start,
            details={
                "layers": built.layer_count,
                "fp32_nodes": list(change.fp32_nodes),
                "casts": change.casts,
                "overflowing_weights": change.overflows,
                "built_on": asdict(gpu) if gpu else None,
                "versions": installed_versions(("awml_deploy_core", "onnx", "onnxruntime")),
            },
        )
        if built.timings is not None:
            cache.store_timing_cache(timings, built.timings)
        if change.overflows:
            _LOG.warning("%s: %d weights are beyond FP16 and were cut off", component, change.overflows)
        self._on_percent(component, FULL)
        return record

    def _gpu(self) -> CudaDevice | None:
        return cuda_device(self._device_index)

    def _find_library(self) -> TensorRTLibrary:
        if find_spec("onnx") is None:
            raise MissingDependencyError("engine build", "needs onnx", hint="pip install onnx")
        self._library = self._library or find_library(self._settings.library)
        return self._library


def refusal(*plans: EnginePlan) -> ArtifactError:
    """The error of engines that would have to be built where that is not wanted."""
    return ArtifactError(
        "engines",
        "are missing or do not fit, and on_mismatch refuses to build them",
        problems=[f"{plan.key.component}: {plan.why}" for plan in plans],
        hint="To build them set export.tensorrt.on_mismatch to build.",
    )


@contextmanager
def held_lock(folder: Path) -> Iterator[None]:
    """Hold the bundle's lock, after waiting for a process that has it.

    Raises:
        ArtifactError: The lock cannot be made, e.g. because the folder is read-only.
    """
    lock = folder_lock(folder.resolve())
    with io_errors(folder, "cannot be locked for writing"):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _LOG.info("another process writes this bundle: waiting", extra={"bundle": str(folder)})
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _artifact(record: EngineRecord, folder: Path, *, reused: bool) -> ExportedArtifact:
    key = record.key
    return ExportedArtifact(
        component=key.component,
        path=folder / record.path,
        produced_by=f"{key.target.library} {key.target.version}, {key.precision}",
        seconds=0.0 if reused else record.seconds,
        details={"reused": reused, **record.model_dump(mode="json")},
    )
