"""How many rows the encoder runs on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from awml_extractors.centerpoint.device.encoder import choose_rows
from awml_extractors.centerpoint.device.settings import EncoderRows


@pytest.mark.parametrize(
    ("wanted", "capturable", "captures_shapes", "graphs", "expected"),
    [
        ("auto", True, True, True, "device"),
        ("auto", True, False, True, "full"),
        ("device", True, False, True, "device"),
        ("full", True, True, True, "full"),
        ("auto", False, False, True, "host"),
        ("device", True, True, False, "host"),
    ],
)
def test_the_choice_follows_what_the_session_can(
    wanted: EncoderRows, capturable: bool, captures_shapes: bool, graphs: bool, expected: str
) -> None:
    session: Any = SimpleNamespace(capturable=capturable, captures_shapes=captures_shapes)
    assert choose_rows(wanted, session, graphs=graphs) == expected
