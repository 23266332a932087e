from __future__ import annotations

import pytest

from awml_deploy_core.cli.options import override
from awml_deploy_core.config.overrides import apply_overrides


@pytest.mark.parametrize(
    "value",
    [
        "weights.pth",
        "two words: and a colon",
        'a "quoted" \\ path',
        "größe/東京/😀.pth",
        "not\udcffutf8.pth",
        "line\u2028separator\x85\x7f\n",
        ["a😀", "b"],
        {"reference": "pytorch", "test": "onnxruntime"},
        -1,
        0.5,
    ],
)
def test_an_option_arrives_as_it_was_given(value: object) -> None:
    content, problems = apply_overrides({}, override("key.sub", value))
    assert problems == []
    assert content == {"key": {"sub": value}}


@pytest.mark.parametrize("value", [None, []])
def test_an_option_that_was_not_given_changes_nothing(value: object) -> None:
    assert override("key", value) == []
