"""Writes one component as one ONNX file."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from awml_deploy_core.components import ExportableComponent
from awml_deploy_core.errors import ExportError, MissingDependencyError
from awml_deploy_core.export.capture import MAX_BYTES, capture, check_module
from awml_deploy_core.export.exporter import ExportedArtifact
from awml_deploy_core.export.graph import check, clean, operator_counts, simplify, write_metadata
from awml_deploy_core.export.options import OnnxExportOptions
from awml_deploy_core.export.quiet import quiet
from awml_deploy_core.files import write_bytes

_LOG = logging.getLogger(__name__)
_HINT = 'pip install "awml_deploy_core[export]"'


class OnnxExporter:
    """Exports a component with torch.onnx: weights inline, plain operators, checked against its spec.

    The same module, sample shapes, options and package versions give the same bytes.
    """

    def __init__(self, options: OnnxExportOptions | None = None) -> None:
        self._options = options or OnnxExportOptions()

    def export(self, source: ExportableComponent, folder: Path) -> ExportedArtifact:
        """Write ``source`` to ``folder / source.spec.onnx_file``.

        Raises:
            ExportError: The module contradicts its spec, cannot be captured, or its graph is not
                what the spec says.
            ArtifactError: The file cannot be written.
            MissingDependencyError: torch, onnx, onnxscript or onnxslim is not installed.
        """
        self._require_packages()
        start = time.perf_counter()
        spec, options = source.spec, self._options
        with quiet():
            check_module(source)
            captured = capture(source, options)
            model, how = captured.model, captured.how
            if options.simplify:
                model = simplify(model, spec)
            clean(model, spec)
            model = check(model, spec, options.opset_version)
        for failure in captured.failures:
            _LOG.info("%s: graph capture failed: %s", spec.name, failure)
        write_metadata(model, spec, source.metadata)
        if model.ByteSize() > MAX_BYTES:
            raise ExportError(
                f"component {spec.name}",
                "is too large for one ONNX file",
                got=f"{model.ByteSize()} bytes",
                expected=f"<= {MAX_BYTES}",
            )
        path = folder / spec.onnx_file
        write_bytes(path, model.SerializeToString(deterministic=True))
        return ExportedArtifact(
            component=spec.name,
            path=path,
            produced_by=f"torch.onnx.export ({how}), opset {options.opset_version}"
            + (", onnxslim" if options.simplify else ""),
            seconds=time.perf_counter() - start,
            details={
                "graph_capture": how,
                "opset": options.opset_version,
                "options": asdict(options),
                "operators": operator_counts(model),
            },
        )

    def _require_packages(self) -> None:
        needed = ["torch", "onnx", "onnxscript"] + (["onnxslim"] if self._options.simplify else [])
        if missing := [name for name in needed if find_spec(name) is None]:
            raise MissingDependencyError("ONNX export", f"needs {', '.join(missing)}", hint=_HINT)
