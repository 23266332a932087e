from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from awml_deploy_core.logging_setup import configure_logging

LOG = logging.getLogger("awml_deploy_core.test")


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_text_lines_carry_facts() -> None:
    stream = io.StringIO()
    configure_logging("info", "text", stream)
    LOG.info("exported %s", "encoder", extra={"seconds": 1.23456, "file": "a.onnx"})
    LOG.debug("hidden")
    assert stream.getvalue() == "info: exported encoder seconds=1.235 file=a.onnx\n"


def test_json_lines_are_objects_with_facts_and_traceback() -> None:
    stream = io.StringIO()
    configure_logging("debug", "json", stream)
    try:
        raise ValueError("broken")
    except ValueError:
        LOG.exception("failed", extra={"component": "head"})
    entry = json.loads(stream.getvalue())
    assert (entry["level"], entry["message"], entry["component"]) == ("error", "failed", "head")
    assert entry["time"].endswith("+00:00")
    assert "ValueError: broken" in entry["traceback"]


def test_configuring_again_replaces_only_the_own_handler() -> None:
    first, second, foreign = io.StringIO(), io.StringIO(), logging.NullHandler()
    logging.getLogger().addHandler(foreign)
    configure_logging("info", "text", first)
    configure_logging("info", "text", second)
    LOG.info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1
    assert foreign in logging.getLogger().handlers


def test_standard_error_is_found_when_a_line_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    LOG.warning("careful")
    assert capsys.readouterr().err == "warning: careful\n"
