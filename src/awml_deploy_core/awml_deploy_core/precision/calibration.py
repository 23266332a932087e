"""What flows through a model on real samples: recorded once, used for ranges and comparisons."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.config.precision_schema import Int8Section
from awml_deploy_core.errors import AwmlDeployError, ExportError, MissingDependencyError
from awml_deploy_core.family import Sample
from awml_deploy_core.files import io_errors
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_core.progress import Progress
from awml_deploy_core.runtime.onnxruntime_session import native_errors

if TYPE_CHECKING:
    import onnx

_LOG = logging.getLogger(__name__)

Ranges = Mapping[str, tuple[float, float]]
"""Least and largest value by tensor."""


@dataclass(frozen=True)
class RecordedInputs:
    """Inputs of every component for some samples, on disk: those of one frame may have 100 MB."""

    files: Mapping[str, tuple[Path, ...]]
    """By component, one archive a sample."""

    def of(self, component: str) -> Iterator[dict[str, npt.NDArray[Any]]]:
        """Load one sample after the other."""
        for path in self.files[component]:
            with np.load(path, allow_pickle=False) as stored:
                yield {name: stored[name] for name in stored.files}


def record_inputs(
    pipeline: InferencePipeline[Any, Any], samples: Sequence[Sample], folder: Path, progress: Progress
) -> RecordedInputs:
    """Run samples and keep what every component is fed; a sample that cannot be run is left out.

    Args:
        pipeline: In full precision.
        samples: Loaded one at a time.
        folder: For the archives.
        progress: Told after every sample.

    Raises:
        ArtifactError: An archive cannot be written.
        ExportError: A component was never run.
    """
    files: dict[str, list[Path]] = {session.spec.name: [] for session in pipeline.sessions}
    progress("record calibration", 0, len(samples))
    for index in range(len(samples)):
        try:
            _, tap = pipeline.trace(samples[index].input)
        except AwmlDeployError as error:
            _LOG.warning("sample %d is no part of the calibration: %s", index, error)
        else:
            for component, arrays in tap.inputs.items():
                path = folder / f"{component}.{index}.npz"
                with io_errors(path, "cannot be written"):
                    # Canvases are mostly zeros.
                    np.savez_compressed(path, allow_pickle=False, **arrays)
                files[component].append(path)
        progress("record calibration", index + 1, len(samples))
    if idle := [name for name, paths in files.items() if not paths]:
        raise ExportError(
            "calibration",
            "components were never run",
            got=", ".join(idle),
            expected="at least one sample that reaches every component",
            hint="Give other samples with precision.calibration or --calibration.",
        )
    return RecordedInputs({name: tuple(paths) for name, paths in files.items()})


def tensor_ranges(
    model: onnx.ModelProto,
    inputs: Iterator[dict[str, npt.NDArray[Any]]],
    settings: Int8Section,
    folder: Path,
) -> Ranges:
    """The range of every tensor of a graph, by ONNX Runtime's calibrators.

    Args:
        model: The graph in full precision.
        inputs: By the names of the graph's inputs.
        settings: Which calibrator.
        folder: For its files.

    Raises:
        ExportError: The graph cannot be run with its tensors exposed.
        MissingDependencyError: ONNX Runtime's quantisation tools cannot be imported.
    """
    import onnx

    require_quantizer()
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import CalibrationDataReader, create_calibrator

    class One(CalibrationDataReader):  # type: ignore[misc]
        """One sample: a calibrator would hold the tensors of all."""

        def __init__(self, arrays: dict[str, Any]) -> None:
            self._arrays: dict[str, Any] | None = arrays

        def get_next(self) -> dict[str, Any] | None:
            arrays, self._arrays = self._arrays, None
            return arrays

    method = {"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}[settings.method]
    options: dict[str, Any] = {"symmetric": True}
    if settings.method == "percentile":
        options["percentile"] = settings.percentile
    path = folder / f"{model.graph.name or 'graph'}.calibrated.onnx"
    failures: tuple[type[Exception], ...] = (
        *native_errors(),
        RuntimeError,
        ValueError,
        LookupError,
        TypeError,
    )
    with redirect_stdout(io.StringIO()) as printed:
        try:
            onnx.save_model(model, str(path))
            calibrator = create_calibrator(
                path,
                op_types_to_calibrate=None,
                augmented_model_path=str(path.with_suffix(".augmented.onnx")),
                calibrate_method=getattr(CalibrationMethod, method),
                extra_options=options,
            )
            for arrays in inputs:
                calibrator.collect_data(One(arrays))
            found = calibrator.compute_data()
        except failures as error:
            raise ExportError(model.graph.name or "graph", "cannot be calibrated", got=error) from error
    _LOG.debug("%s", printed.getvalue())
    return {name: _bounds(found[name]) for name in found.keys()}  # noqa: SIM118 - no mapping


def _bounds(data: Any) -> tuple[float, float]:
    low, high = data.range_value
    return float(np.min(low)), float(np.max(high))


def require_quantizer() -> None:
    """Raise MissingDependencyError unless ONNX Runtime's quantisation tools can be imported."""
    try:
        import onnxruntime.quantization  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "precision study", "needs onnxruntime and onnx", got=error, hint="pip install onnxruntime onnx"
        ) from error
