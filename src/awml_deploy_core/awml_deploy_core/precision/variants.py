"""Makes the files of a variant: every component's graph in its precision."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from awml_deploy_core.config.precision_schema import Lowered, PrecisionSection
from awml_deploy_core.errors import ConfigError
from awml_deploy_core.files import write_bytes
from awml_deploy_core.precision.calibration import Ranges
from awml_deploy_core.precision.groups import LayerGroup, layer_groups, with_names
from awml_deploy_core.precision.lowering import to_fp16, to_int8
from awml_deploy_core.validation import suggest

if TYPE_CHECKING:
    import onnx

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators whose layers FP16 is about; those of INT8 are configured."""

Files = Mapping[str, Path]
"""ONNX files by component."""


class VariantMaker:
    """Lowers some layer groups of a model.

    Args:
        graphs: By component, in full precision, in execution order.
        section: What is lowered and how.
        ranges: Gives the ranges of a component's tensors; asked when INT8 is.
        folder: For the files.

    Raises:
        ConfigError: ``fp32_nodes`` names nodes that no graph has.
    """

    def __init__(
        self,
        graphs: Mapping[str, onnx.ModelProto],
        section: PrecisionSection,
        ranges: Callable[[str], Ranges],
        folder: Path,
    ) -> None:
        self._graphs = {name: with_names(graph) for name, graph in graphs.items()}
        self._section = section
        self._ranges = ranges
        self._folder = folder
        self._made: dict[tuple[str, str, frozenset[str]], Path] = {}
        self._check_patterns()

    @property
    def graphs(self) -> Mapping[str, onnx.ModelProto]:
        """By component, every node with a name of its own."""
        return self._graphs

    @cached_property
    def _all_groups(self) -> dict[Lowered, tuple[LayerGroup, ...]]:
        operators: dict[Lowered, tuple[str, ...]] = {
            "int8": self._section.int8.operators,
            "fp16": WEIGHTED,
        }
        return {
            lowered: tuple(
                group
                for name, graph in self._graphs.items()
                for group in layer_groups(graph, name, self._section.group_depth, types)
            )
            for lowered, types in operators.items()
        }

    def groups(self, lowered: Lowered) -> tuple[LayerGroup, ...]:
        """The layer groups that can be lowered, in execution order."""
        return self._all_groups[lowered]

    def make(self, lowered: Lowered, low: Collection[LayerGroup]) -> Files:
        """Files in which the groups ``low`` are lowered, and nothing else of any component with others.

        The same groups give the same files.

        Raises:
            ExportError: A graph cannot be lowered.
            ArtifactError: A file cannot be written.
            MissingDependencyError: What lowers graphs is not installed.
        """
        return {
            name: self._file(lowered, name, [g for g in low if g.component == name])
            for name in self._graphs
        }

    def _file(self, lowered: Lowered, component: str, low: Collection[LayerGroup]) -> Path:
        key = (lowered, component, frozenset(group.name for group in low))
        if key not in self._made:
            content = self._lower(lowered, component, low).SerializeToString(deterministic=True)
            digest = hashlib.sha256(content).hexdigest()[:16]
            path = self._folder / f"{component}.{lowered}.{digest}.onnx"
            write_bytes(path, content)
            self._made[key] = path
        return self._made[key]

    def _lower(self, lowered: Lowered, component: str, low: Collection[LayerGroup]) -> onnx.ModelProto:
        graph, subject = self._graphs[component], f"component {component}"
        kept = self._kept(component)
        if lowered == "int8":
            layers = {name for group in low for name in group.layers} - kept
            ranges = self._ranges(component) if layers else {}
            return to_int8(graph, layers, ranges, self._section.int8, subject)
        own = [group for group in self.groups(lowered) if group.component == component]
        if len(low) < len(own):
            lowered_nodes = {name for group in low for name in group.members}
            kept |= {node.name for node in graph.graph.node} - lowered_nodes
        return to_fp16(graph, kept, subject)

    def _kept(self, component: str) -> set[str]:
        """Nodes that the configuration keeps in FP32."""
        names = [node.name for node in self._graphs[component].graph.node]
        return {name for pattern in self._section.fp32_nodes for name in fnmatch.filter(names, pattern)}

    def _check_patterns(self) -> None:
        names = [node.name for graph in self._graphs.values() for node in graph.graph.node]
        problems = [
            f"no node is called {pattern!r}{suggest(pattern, names)}"
            for pattern in self._section.fp32_nodes
            if not fnmatch.filter(names, pattern)
        ]
        if problems:
            raise ConfigError("precision.fp32_nodes", "name nodes that do not exist", problems=problems)
