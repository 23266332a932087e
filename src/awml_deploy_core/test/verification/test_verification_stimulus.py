"""Noise on inputs, runs of one sample compared, and differences of settings."""

from __future__ import annotations

import numpy as np

from awml_deploy_core.pipeline import TensorTap
from awml_deploy_core.verification.differences import differences
from awml_deploy_core.verification.repetition import fingerprints, repetition_problem
from awml_deploy_core.verification.stimulus import stirred


def test_noise_moves_every_value_by_the_size_of_the_tensor_and_is_the_same_each_time() -> None:
    inputs = {
        "x": np.full((50, 4), 3.0, np.float32),
        "none": np.zeros((5, 5), np.float32),
        "n": np.arange(3),
    }
    inputs["x"][:, 3] = 0.0
    found, again = stirred(inputs), stirred(inputs)
    for name, values in found.items():
        assert values.dtype == inputs[name].dtype
        assert np.array_equal(values, again[name])
    assert (found["x"] != inputs["x"]).all()
    assert 2.0 < np.std(found["x"][:, 3]) < 3.2
    assert (found["none"] != 0).all()
    assert np.array_equal(found["n"], inputs["n"])


def tap(points: float, features: float) -> TensorTap:
    made = TensorTap()
    made.record("encoder", {"points": np.full(3, points)}, {"features": np.full(3, features)})
    return made


def test_the_first_tensor_that_is_not_repeated_is_named() -> None:
    first = fingerprints(tap(1.0, 2.0))
    assert repetition_problem(first, fingerprints(tap(1.0, 2.0))) == ""
    assert repetition_problem(first, fingerprints(tap(1.5, 2.5))).startswith("input points of encoder is")
    text = repetition_problem(first, fingerprints(tap(1.0, np.nextafter(2.0, 3.0))))
    assert text.startswith("output features of encoder is another")
    assert "does not repeat its results" in text
    assert "encoder" in repetition_problem(first, {})


def test_differences_of_settings_are_named_by_their_path() -> None:
    found = {"a": 1, "deep": {"b": [1, 2], "c": "x"}, "long": list(range(90))}
    wanted = {"a": 1, "deep": {"b": [1, 3]}, "long": [*range(89), 7]}
    assert list(differences(found, found)) == []
    assert list(differences(found, wanted)) == [
        ("deep.b", "[1, 2]", "[1, 3]"),
        ("deep.c", "'x'", "None"),
        ("long", "89 at 89", "7 at 89"),
    ]
