"""From an ONNX graph to a serialised engine: the one place that calls TensorRT's builder."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awml_deploy_core.errors import ExportError
from awml_deploy_core.export.engine_progress import FULL, make_monitor
from awml_deploy_core.interrupts import interrupts_kept
from awml_deploy_core.runtime.trt.library import Messages, TensorRTApi, TensorRTLibrary, shape_of
from awml_deploy_core.runtime.trt.settings import EngineSettings, ShapeRange

if TYPE_CHECKING:
    import tensorrt

_LOG = logging.getLogger(__name__)

_MIB = 1 << 20


@dataclass(frozen=True, eq=False)
class BuiltEngine:
    """What the builder gave."""

    content: memoryview
    """The serialised engine."""
    layers: str
    """JSON: the engine's layers with the kernels chosen for them, or those of the network where the
    engine cannot be opened on this machine."""
    layer_count: int
    timings: bytes | None
    """The timing cache after the build; None where the library has none."""


def build_engine(
    library: TensorRTLibrary,
    onnx_bytes: bytes,
    onnx_path: Path,
    profile: Mapping[str, ShapeRange],
    settings: EngineSettings,
    *,
    timings: bytes = b"",
    inspect: bool = False,
    on_progress: Callable[[int], None] = lambda percent: None,
) -> BuiltEngine:
    """Build a strongly typed network with one optimisation profile.

    Args:
        library: TensorRT or TensorRT-RTX.
        onnx_bytes: The graph in its final precision.
        onnx_path: Where it comes from, for errors and for weights beside it.
        profile: Shape range of every input.
        settings: Of the builder; what the library cannot do was refused before.
        timings: Timing cache of earlier builds.
        inspect: Whether to open the engine for its layers, which needs a GPU it runs on.
        on_progress: Told the percentage that is done.

    Raises:
        ExportError: The graph cannot be parsed or built; the library's messages are listed.
        KeyboardInterrupt: Ctrl-C came during the build.
        Exception: What ``on_progress`` raised; the build is cancelled.
    """
    api, messages = library.api, Messages(library)
    builder = _builder(api, messages, onnx_path)
    network = builder.create_network(1 << int(api.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = api.OnnxParser(network, messages.logger)
    if not parser.parse(onnx_bytes, str(onnx_path)):
        problems = [_parser_error(parser.get_error(index)) for index in range(parser.num_errors)]
        raise ExportError(
            onnx_path, f"{library.name} cannot read its graph", problems=problems or messages.errors()
        )
    config = builder.create_builder_config()
    _configure(library, config, settings)
    _add_profile(builder, config, profile, onnx_path)
    kept = _set_timings(config, timings) if library.has_timing_cache and settings.timing_cache else None
    failures: list[BaseException] = []
    config.progress_monitor = make_monitor(api, on_progress, failures)
    layers = _network_layers(network)
    with interrupts_kept():
        engine = builder.build_serialized_network(network, config)
    if failures:
        raise failures[0]
    if engine is None:
        raise ExportError(
            onnx_path,
            f"{library.name} {library.version} cannot build an engine",
            problems=messages.errors(),
        )
    on_progress(FULL)
    content = memoryview(engine).cast("B")
    count = network.num_layers
    new_timings = None if kept is None else bytes(memoryview(kept.serialize()))
    return BuiltEngine(
        content,
        (_engine_layers(library, content, settings) if inspect else None) or layers,
        count,
        new_timings,
    )


def _builder(api: TensorRTApi, messages: Messages, path: Path) -> tensorrt.Builder:
    try:
        return api.Builder(messages.logger)
    except (RuntimeError, TypeError) as error:
        # TensorRT's builder starts CUDA; without a usable GPU its constructor gives nothing.
        problems = messages.errors() or (str(error),)
        raise ExportError(
            path, "TensorRT's builder does not start", problems=problems, hint="Check nvidia-smi."
        ) from error


def _configure(library: TensorRTLibrary, config: tensorrt.IBuilderConfig, settings: EngineSettings) -> None:
    api = library.api
    config.profiling_verbosity = api.ProfilingVerbosity.DETAILED
    if settings.policy.precision == "fp32":
        config.clear_flag(api.BuilderFlag.TF32)
    else:
        config.set_flag(api.BuilderFlag.TF32)
    if settings.workspace_mib is not None:
        config.set_memory_pool_limit(api.MemoryPoolType.WORKSPACE, settings.workspace_mib * _MIB)
    if settings.optimization_level is not None:
        config.builder_optimization_level = settings.optimization_level
    if settings.version_compatible:
        config.set_flag(api.BuilderFlag.VERSION_COMPATIBLE)
    if settings.hardware_compatibility != "none":
        level = settings.hardware_compatibility.upper()
        config.hardware_compatibility_level = api.HardwareCompatibilityLevel.__members__[level]
    library.allow_capture(config)
    if settings.compute_capabilities:
        library.set_compute_capabilities(config, settings.compute_capabilities)


def _set_timings(config: tensorrt.IBuilderConfig, timings: bytes) -> tensorrt.ITimingCache | None:
    """Start from earlier timings, or from none where they are damaged or of another GPU.

    Returns:
        The cache, which has to live until the engine is built; None where the library refuses any.
    """
    for content in dict.fromkeys((timings, b"")):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, False):
            return cache
        if content:
            _LOG.warning("the timings of earlier builds are of no use here")
    return None


def _add_profile(
    builder: tensorrt.Builder,
    config: tensorrt.IBuilderConfig,
    profile: Mapping[str, ShapeRange],
    path: Path,
) -> None:
    made = builder.create_optimization_profile()
    for name, shapes in profile.items():
        # pybind11 takes any sequence for Dims, which the stubs do not say.
        low, middle, high = (_dims(shape) for shape in (shapes.min, shapes.opt, shapes.max))
        try:
            made.set_shape(name, low, middle, high)
        except (RuntimeError, ValueError) as error:
            raise _refused(path, profile) from error
    if not made or config.add_optimization_profile(made) < 0:
        raise _refused(path, profile)


def _refused(path: Path, profile: Mapping[str, ShapeRange]) -> ExportError:
    text = ", ".join(f"{name} {shapes}" for name, shapes in profile.items())
    return ExportError(path, "TensorRT refuses the optimisation profile", got=text)


def _dims(shape: tuple[int, ...]) -> Any:
    return shape


def _parser_error(error: tensorrt.ParserError) -> str:
    name, operator = error.node_name(), error.node_operator()
    node = f"node {name or error.node()} ({operator}): " if operator else ""
    return f"{node}{error.desc().strip()}"


def _network_layers(network: tensorrt.INetworkDefinition) -> str:
    layers = []
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        outputs = [layer.get_output(i) for i in range(layer.num_outputs)]
        layers.append(
            {
                "Name": layer.name,
                "LayerType": layer.type.name,
                "Outputs": [
                    {"Name": out.name, "Dimensions": list(shape_of(out.shape)), "Datatype": out.dtype.name}
                    for out in outputs
                ],
                "Metadata": layer.metadata,
            }
        )
    return _layers_json("network", {"Layers": layers})


def _engine_layers(library: TensorRTLibrary, content: memoryview, settings: EngineSettings) -> str | None:
    """Layers with their kernels; None where the engine does not open."""
    messages = Messages(library)
    runtime = library.runtime(messages, host_code=settings.version_compatible)
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        _LOG.warning("the engine does not open here: %s", "; ".join(messages.errors()) or "no reason given")
        return None
    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(library.api.LayerInformationFormat.JSON)
    try:
        return _layers_json("engine", dict(json.loads(text)))
    except (TypeError, ValueError):
        # What was built in minutes is not lost for what is only said about it.
        _LOG.warning("the engine's layers are not in JSON: %s", text[:80])
        return None


def _layers_json(source: str, content: Any) -> str:
    return json.dumps({"source": source, **content}, indent=1, ensure_ascii=False) + "\n"
