"""What every exporter is and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

SourceT = TypeVar("SourceT", contravariant=True)


@dataclass(frozen=True)
class ExportedArtifact:
    """One file an exporter wrote."""

    component: str
    path: Path
    produced_by: str
    """The tool and its decisive settings in one line, for the manifest."""
    seconds: float
    details: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready facts: opset, graph capture, options, operator counts."""


class Exporter(Protocol[SourceT]):
    """Writes one component for one backend.

    ``SourceT`` is what it is made from: an ``ExportableComponent`` for ONNX, an ONNX file of a
    bundle for backends that build from one.
    """

    def export(self, source: SourceT, folder: Path) -> ExportedArtifact:
        """Write the component's file into ``folder``, whole or not at all.

        Raises:
            ExportError: The component cannot be exported; the error names it.
            ArtifactError: The file cannot be written.
            MissingDependencyError: A package the exporter needs is not installed.
        """
        ...
