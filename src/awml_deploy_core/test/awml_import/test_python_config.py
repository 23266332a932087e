from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_deploy_core.awml_import.python_config import read_python_config
from awml_deploy_core.errors import ConfigError


def read(tmp_path: Path, text: str, **options: Any) -> dict[str, Any]:
    path = tmp_path / "config.py"
    path.write_text(text)
    return read_python_config(path, **options).values


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a = dict(b=1, **dict(c=[2, (3, 4.5)]), d=None)",
        "a = {'x': {0: 'batch', 2: -1}, **{'y': True}}",
        "_x = 'out/'\na = f\"{_x.rstrip('/')}/onnx{1 + 1:03d}\"",
        "b = dict(cuda='cuda:0')\na = b['cuda']",
        "a = 2 << 30",
        "a = [1, 2][-1] + 3 * 4 - 10 // 3 ** 2 % 5",
        "a = [0] * 3 + list((1, 2))",
        "a = b = 1e-3\na += 1",
        "a = dict(x=[1])\na['x'] += [2]\na['y'] = dict(z=len(a['x']))",
        "a: int = sum([128, 128]) / 2",
        '"""Text."""\npass\nimport os\ndef f(): return 1\na = [*(1, 2), max(3, 4)]',
        "a = 'x' + 'y' * 2\nb = a[0:2]",
        "a = not True",
    ],
)
def test_what_is_read_is_what_python_gives(tmp_path: Path, text: str) -> None:
    expected: dict[str, Any] = {}
    exec(text, expected)
    values = read(tmp_path, text)
    assert values == {name: expected[name] for name in values}
    assert "a" in values


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a = 1\nimport os\nb = os.getcwd()", "line 3: call of os.getcwd is not executed"),
        ("import os\na = dict(b=os)", "line 1: what is imported or defined is not read"),
        ("a = open('/etc/passwd').read()", "line 1: call of open('/etc/passwd').read is not executed"),
        ("a = __import__('os')", "call of __import__ is not executed"),
        ("a = [i for i in range(3)]", "line 1: [i for i in range(3)] is not read"),
        ("a = lambda: 1", "is not read"),
        ("if True:\n    a = 1\nb = a", "line 1: statement of kind 'if' is not executed"),
        ("for i in [1]:\n    pass", "statement of kind 'for' is not executed"),
        ("a = missing", "missing is not defined in this file"),
        ("a = 'x'.__class__", "is not read"),
        ("a = 'x'.format", "is not read"),
        ("a = '{:>999999999}'.format(1)", "is not executed"),
        ("a = f'{1:999999999}'", "is not formatted"),
        ("a = '%999999999d' % 1", "is not evaluated"),
        ("a = [0] * 10**9", "is not evaluated"),
        ("a = 'x' * 200 * 200 * 200", "is not evaluated"),
        ("a = 9**9**9**9", "is not evaluated"),
        ("a = 1 << 10**9", "is not evaluated"),
        ("a = 1 / 0", "ZeroDivisionError"),
        ("a = {}['x']", "KeyError"),
        ("a = int('x')", "ValueError"),
        ("dict = open\na = dict(b=1)", "is not executed"),
        ("a = b'x'", "is not read"),
        ("a = dict(b=dict(c=oops))", "line 1: oops is not defined"),
        ("_base_ = ['x.py']\na = _base_.b", "_base_, which is not followed"),
    ],
)
def test_what_would_have_to_be_executed_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in refused(tmp_path, text)


def test_nothing_is_executed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    refused(tmp_path, f"open({str(mark)!r}, 'w')\na = 1")
    assert not mark.exists()


def test_every_problem_is_listed_with_its_line(tmp_path: Path) -> None:
    text = refused(tmp_path, "a = x\nb = dict(\n    c=y,\n    d=1,\n)\ne = a")
    assert re.findall(r"line (\d): (\w) is", text) == [("1", "x"), ("3", "y")]


def test_what_is_not_needed_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "config.py"
    path.write_text("import os\na = dict(b=os.getcwd(), c=1)\nd = os.getcwd()")
    config = read_python_config(path, strict=False)
    assert config.values["a"]["c"] == 1
    assert set(config.values) == {"a"}
    assert len(config.problems) == 2


def test_bases_are_merged_as_mmengine_does(tmp_path: Path) -> None:
    (tmp_path / "grand.py").write_text("m = dict(a=1, b=dict(c=2, d=3))\nnames = ['x']")
    (tmp_path / "base.py").write_text("_base_ = './grand.py'\nm = dict(b=dict(c=20))\nk = 5")
    text = (
        "_base_ = ['base.py']\n"
        "m = dict(a=_base_.k + 1, n={{_base_.names}}, b=dict(e=_base_.m.b.d))\n"
        "o = dict(_delete_=True, p=1)"
    )
    values = read(tmp_path, text, follow_bases=True)
    assert values == {
        "m": {"a": 6, "n": ["x"], "b": {"c": 20, "d": 3, "e": 3}},
        "names": ["x"],
        "k": 5,
        "o": {"p": 1},
    }
    values = read(tmp_path, "_base_ = ['base.py']\nm = dict(b=dict(_delete_=True, z=1))", follow_bases=True)
    assert values["m"] == {"a": 1, "b": {"z": 1}}


def test_bases_without_end(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too many bases"):
        read(tmp_path, "_base_ = 'config.py'", follow_bases=True)


def test_base_of_another_package(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="file of another package"):
        read(tmp_path, "_base_ = ['mmpretrain::_base_/x.py']", follow_bases=True)


@pytest.mark.parametrize(
    "text", ["a = (", "a = 1\x00", "a = " + "(" * 3000 + ")" * 3000, "a = -" + "-" * 5000 + "1"]
)
def test_no_python(tmp_path: Path, text: str) -> None:
    assert "is not valid Python" in refused(tmp_path, text)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_python_config(tmp_path / "missing.py")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab=dict()[]{}1'+*.,:\n <_f\"", max_size=60))
def test_any_text_gives_values_or_one_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{os.getpid()}.py"
    path.write_text(text)
    with suppress(ConfigError):
        read_python_config(path)
