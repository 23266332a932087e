"""What goes to people and to machines, and where."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from awml_deploy_core.cli.main import main
from awml_deploy_core.cli.output import progress_bar
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.progress import no_progress

pytestmark = pytest.mark.usefixtures("toy")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_names_and_paths_with_brackets_are_shown_as_they_are(
    deploy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "w[bold]" / "[" / "red]"
    scenario = "{name: 'a [/red]b', reference: pytorch, test: onnxruntime}"
    settings = ["--set", f"work_dir='{work}'", "--set", f"verification.scenarios=[{scenario}]"]
    assert main(["run", str(deploy), *settings]) == 0
    shown = capsys.readouterr().out
    assert "verify a [/red]b (" in shown
    assert f"bundle: {work / 'bundle'}" in shown

    (work / "bundle" / "x[").mkdir()
    (work / "bundle" / "x[" / "bold].txt").write_text("")
    assert main(["inspect", str(work / "bundle")]) == 0
    assert "x[/bold].txt" in capsys.readouterr().out

    pictures = tmp_path / "p[" / "b]"
    assert main(["infer", str(work / "bundle"), str(tmp_path / "clouds"), "--picture", str(pictures)]) == 0
    assert f"pictures: {pictures}" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_inspect_shows_values_as_a_configuration_has_them(
    deploy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from awml_deploy_core.cli.inspect import _flat

    assert main(["export", str(deploy)]) == 0
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "out" / "bundle")]) == 0
    shown = capsys.readouterr().out
    assert "constant_folding true" in shown
    assert not [text for text in ("True", "None", "'", "{") if text in shown]

    value = {
        "a": None,
        "rules": [{"from": "CAR", "on": False}, {"from": "BUS", "on": True}],
        "b": ["x", 1.5],
    }
    assert list(_flat({"inner": {}, **value}, "m")) == [
        ("m.inner", "none"),
        ("m.a", "unset"),
        ("m.rules.0", "from CAR, on false"),
        ("m.rules.1", "from BUS, on true"),
        ("m.b", "[x, 1.5]"),
    ]


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--json", "-"]])
def test_a_reader_that_goes_away_does_not_change_the_exit_code(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "awml_deploy_core.cli", *arguments]
    undisturbed = subprocess.run(command, capture_output=True, check=False).returncode
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == undisturbed, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--json", "-"]])
def test_output_that_cannot_be_written_is_no_bug(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "awml_deploy_core.cli", *arguments]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == ExitCode.BAD_INPUT
    assert "standard output: cannot be written; got No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


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
