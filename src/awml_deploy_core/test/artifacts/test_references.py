from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from awml_deploy_core.artifacts.references import (
    Reference,
    inputs_digest,
    known_inputs,
    read_reference,
    sampled,
    write_reference,
)
from awml_deploy_core.components import ComponentSpec, DynamicAxis, TensorSpec
from awml_deploy_core.errors import ArtifactError

SPEC = ComponentSpec(
    "c",
    "c.onnx",
    (TensorSpec("x", (DynamicAxis("n", 1, 5000, 9000), 4)), TensorSpec("z", (2, 3))),
    (TensorSpec("y", (300, 100)),),
)


def test_known_inputs_are_the_same_everywhere() -> None:
    inputs = known_inputs(SPEC)
    assert {name: value.shape for name, value in inputs.items()} == {"x": (1024, 4), "z": (2, 3)}
    assert all(value.dtype == np.float32 for value in inputs.values())
    assert 0.05 < np.count_nonzero(inputs["x"]) / inputs["x"].size < 0.11
    # Recorded outputs would be worthless if another numpy gave other values.
    assert inputs_digest(SPEC, inputs)[:16] == "7d06054ed1846a27"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    outputs = {"y": np.random.default_rng(0).standard_normal((300, 100)).astype(np.float32)}
    reference = Reference.of(SPEC, known_inputs(SPEC), outputs)
    write_reference(tmp_path, "c", reference)
    read = read_reference(tmp_path, "c")
    assert read is not None
    assert read.inputs_sha256 == reference.inputs_sha256
    assert read.shapes == {"y": (300, 100)}
    assert read.largest["y"] == float(np.abs(outputs["y"]).max())
    np.testing.assert_array_equal(read.values["y"], sampled(outputs["y"]))
    assert read.values["y"].size == 15000
    assert read_reference(tmp_path, "other") is None


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_what_is_no_reference(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "selftest").mkdir()
    (tmp_path / "selftest" / "c.npz").write_bytes(content)
    with pytest.raises(ArtifactError, match="is no reference"):
        read_reference(tmp_path, "c")


def test_small_outputs_are_kept_whole() -> None:
    values = np.arange(100, dtype=np.float32)
    np.testing.assert_array_equal(sampled(values.reshape(10, 10)), values)
    assert sampled(np.empty((0, 3), np.float32)).size == 0
