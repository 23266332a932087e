from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from awml_deploy_core.errors import CheckpointError
from awml_extractors.centerpoint.checkpoint import read_state_dict

pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol")

WEIGHTS = {
    "pts_neck.deblocks.0.0.weight": torch.rand(16, 16, 1, 1),
    "pts_neck.deblocks.0.1.bias": torch.rand(16),
}


def save(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def refused(path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        read_state_dict(path)
    assert caught.value.subject == str(path)
    return caught.value


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return exec, (f"open({str(self.target)!r}, 'w').close()",)


def test_pickled_code_is_refused_and_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    path = save(tmp_path / "c.pth", {"state_dict": WEIGHTS, "meta": Malicious(ran)})
    error = refused(path)
    assert "not allowed" in error.problem
    assert error.got == "exec"
    assert not ran.exists()


class Innocent:
    def __init__(self) -> None:
        self.value = 1


def test_unknown_class_is_named(tmp_path: Path) -> None:
    error = refused(save(tmp_path / "c.pth", {"state_dict": WEIGHTS, "meta": Innocent()}))
    assert str(error.got).endswith("test_checkpoint_damage.Innocent")
    assert error.hint is not None
    assert "state_dict" in error.hint


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not a readable checkpoint"),
        (b"PK\x03\x04 nothing", "not a readable checkpoint"),
        (b"hello world\n" * 10, "not a readable checkpoint"),
        (b"\x80\x04.", "not a readable checkpoint"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "c.pth"
    path.write_bytes(content)
    assert problem in refused(path).problem


def test_missing_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "c.pth").problem == "does not exist"


def test_folder(tmp_path: Path) -> None:
    assert "not a readable checkpoint" in refused(tmp_path).problem


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("intact") / "c.pth"
    return save(path, {"state_dict": WEIGHTS}).read_bytes()


damage_settings = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(share=st.floats(0.0, 0.9999))
@damage_settings
def test_truncated_file_is_refused(tmp_path: Path, intact: bytes, share: float) -> None:
    path = tmp_path / "c.pth"
    path.write_bytes(intact[: int(share * len(intact))])
    assert "not a readable checkpoint" in refused(path).problem


@given(position=st.integers(0, 20000), byte=st.integers(0, 255), old_format=st.booleans())
@damage_settings
def test_damaged_file_is_refused_or_loads(
    tmp_path: Path, intact: bytes, position: int, byte: int, old_format: bool
) -> None:
    path = tmp_path / "c.pth"
    if old_format:
        state = {"pts_neck.deblocks.0.0.weight": torch.zeros(16, 16, 1, 1)}
        torch.save(state, path, _use_new_zipfile_serialization=False)
        content = path.read_bytes()
    else:
        content = intact
    position %= len(content)
    path.write_bytes(content[:position] + bytes([byte]) + content[position + 1 :])
    with suppress(CheckpointError):
        read_state_dict(path)


def test_a_changed_weight_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path / "c.pth", {"weight": torch.full((1000,), 0.1234)})
    content = bytearray(path.read_bytes())
    content[content.index(np.float32(0.1234).tobytes() * 3)] ^= 1
    path.write_bytes(content)
    assert "check sum" in str(refused(path))


@pytest.mark.parametrize(
    ("content", "problem"),
    [([1, 2], "is not a checkpoint"), ({"epoch": 3}, "has no tensors"), ({}, "has no tensors")],
)
def test_content_without_weights_is_refused(tmp_path: Path, content: object, problem: str) -> None:
    assert refused(save(tmp_path / "c.pth", content)).problem == problem
