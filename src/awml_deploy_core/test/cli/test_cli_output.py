from __future__ import annotations

import io
import sys

import pytest

from awml_deploy_core.cli.output import progress_bar
from awml_deploy_core.progress import no_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def stderr_as_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """To be called in the test itself: pytest sets its own standard error after the fixtures."""
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_a_terminal_shows_a_bar_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = stderr_as_terminal(monkeypatch)
    with progress_bar() as progress:
        for done in range(3):
            progress("export", done, 2)
        progress("verify [a] vs b", 1, 4)
    shown = terminal.getvalue()
    assert "export" in shown
    assert "2/2" in shown
    assert "verify [a] vs b" in shown
    assert "1/4" in shown


def test_no_bar_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = stderr_as_terminal(monkeypatch)
    with progress_bar(quiet=True) as progress:
        assert progress is no_progress
    assert terminal.getvalue() == ""


def test_no_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as progress:
        progress("export", 1, 2)
    assert capsys.readouterr().err == ""
