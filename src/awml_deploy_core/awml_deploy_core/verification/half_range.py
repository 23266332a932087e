"""Does a graph compute values that half precision cannot hold?

A backend that keeps single precision between operators, like ONNX Runtime on the CPU, hides an overflow
that the vehicle's has. So every tensor of the graph is looked at, of a graph in half precision in its own
type, in which what is too large is infinite.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.verification.bisect import parts_within_budget
from awml_deploy_core.verification.onnx_graph import GraphRun, load_graph, run_tensors

LARGEST = float(np.finfo(np.float16).max)


def half_range_problem(file: Path, inputs: Sequence[npt.NDArray[Any]]) -> str:
    """The first tensor of a graph beyond half precision, and where it is made; empty if there is none.

    Args:
        file: The graph, in single or half precision.
        inputs: Values of its inputs in their order.

    Raises:
        ArtifactError, InferenceError, MissingDependencyError: The graph cannot be read or run.
    """
    model = load_graph(file)
    makers = {name: node for node in model.graph.node for name in node.output if name}
    for names in parts_within_budget(model, list(makers)):
        for name, values in run_tensors(GraphRun(file), model, names, inputs).items():
            if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
                continue
            with np.errstate(all="ignore"):
                count = int(np.count_nonzero(~(np.abs(values) <= LARGEST)))
            if count:
                node = makers[name]
                return (
                    f"{count} of {values.size} values of {name}, made by {node.op_type} {node.name}, are "
                    f"beyond what half precision holds ({LARGEST:g}); keep the operator in single precision"
                )
    return ""
