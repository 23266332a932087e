"""Known inputs of a component and what the trained module made of them, shipped in the bundle.

The inputs are generated and not stored: a canvas has a hundred megabytes. Of the outputs, values at
fixed places are stored.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from awml_deploy_core.components import ComponentSpec, DynamicAxis
from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.files import io_errors, write_bytes

FOLDER = "selftest"
PRODUCED_BY = "PyTorch on known inputs"

_SEED = 20260101
_MAX_LENGTH = 1024
"""Longest a dynamic axis of the known inputs gets."""
_FILLED = 0.1
"""Share of values that are not zero: a canvas is mostly empty."""
_PLACES = 16384
"""Most values stored of an output."""

Arrays = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Reference:
    """Outputs of one component for its known inputs."""

    inputs_sha256: str
    shapes: Mapping[str, tuple[int, ...]]
    """Of the outputs."""
    values: Arrays
    """Of the outputs at :func:`places`."""
    largest: Mapping[str, float]
    """Largest magnitude of each whole output."""

    @classmethod
    def of(cls, spec: ComponentSpec, inputs: Arrays, outputs: Arrays) -> Reference:
        """The reference that these outputs, in any dtype, give."""
        return cls(
            inputs_digest(spec, inputs),
            {name: tuple(int(n) for n in value.shape) for name, value in outputs.items()},
            {name: sampled(value) for name, value in outputs.items()},
            {name: float(np.abs(value).max(initial=0)) for name, value in outputs.items()},
        )


def known_inputs(spec: ComponentSpec) -> dict[str, npt.NDArray[np.float32]]:
    """Inputs of a component that are the same on every machine, by name.

    Normally distributed with 90 % zeros; a dynamic axis has its ``opt`` length, 1024 at most.
    """
    arrays = {}
    for index, tensor in enumerate(spec.inputs):
        shape = tuple(
            max(axis.min, min(axis.opt, _MAX_LENGTH)) if isinstance(axis, DynamicAxis) else axis
            for axis in tensor.shape
        )
        rng = np.random.default_rng(_SEED + index)
        values = np.zeros(int(np.prod(shape)), np.float32)
        count = max(1, int(_FILLED * values.size))
        where = rng.integers(0, values.size, count)
        values[where] = rng.standard_normal(count, np.float32)
        arrays[tensor.name] = values.reshape(shape).astype(tensor.dtype)
    return arrays


def inputs_digest(spec: ComponentSpec, inputs: Arrays) -> str:
    """SHA-256 over all inputs in the spec's order."""
    digest = hashlib.sha256()
    for tensor in spec.inputs:
        digest.update(np.ascontiguousarray(inputs[tensor.name]).data)
    return digest.hexdigest()


def sampled(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What is stored of an output: all of a small one, of a large one values at even distances."""
    flat = values.reshape(-1)
    return np.asarray(flat[:: max(1, -(-flat.size // _PLACES))], np.float32)


def reference_path(folder: Path, component: str) -> Path:
    """Where a bundle has the reference of a component."""
    return folder / FOLDER / f"{component}.npz"


def write_reference(folder: Path, component: str, reference: Reference) -> Path:
    """Write a component's reference into a bundle.

    Raises:
        ArtifactError: It cannot be written.
    """
    path = reference_path(folder, component)
    with io_errors(path, "cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"inputs_sha256": np.array(reference.inputs_sha256)}
    for name, values in reference.values.items():
        arrays[f"values/{name}"] = values
        arrays[f"shape/{name}"] = np.array(reference.shapes[name], np.int64)
        arrays[f"largest/{name}"] = np.array(reference.largest[name])
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    write_bytes(path, stream.getvalue())
    return path


def read_reference(folder: Path, component: str) -> Reference | None:
    """The reference of a component; None where the bundle has none.

    Raises:
        ArtifactError: It is there but cannot be read.
    """
    path = reference_path(folder, component)
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            names = [key.removeprefix("values/") for key in stored.files if key.startswith("values/")]
            return Reference(
                str(stored["inputs_sha256"]),
                {name: tuple(int(n) for n in stored[f"shape/{name}"]) for name in names},
                {name: stored[f"values/{name}"] for name in names},
                {name: float(stored[f"largest/{name}"]) for name in names},
            )
    except (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise ArtifactError(
            path, "is no reference of a component", got=error, hint="Export the bundle again."
        ) from error
