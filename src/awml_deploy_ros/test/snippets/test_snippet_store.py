"""A folder that never grows beyond its room."""

import errno
import os
from collections import namedtuple
from pathlib import Path

import pytest

from awml_deploy_core.errors import ArtifactError
from awml_deploy_ros.snippets import store as module
from awml_deploy_ros.snippets.store import SUMMARY, SnippetStore

SIZE = 100_000
Usage = namedtuple("Usage", "total used free")


def fill(folder: Path) -> None:
    (folder / "data").write_bytes(bytes(SIZE))
    (folder / SUMMARY).write_text("{}")


def test_the_oldest_make_room(tmp_path: Path) -> None:
    store = SnippetStore(tmp_path, max_total_mb=0.35, min_free_mb=0)
    for name in ("1", "2", "3", "4", "5"):
        store.write(name, SIZE, fill)
    assert [path.name for path in store.snippets()] == ["3", "4", "5"]
    assert (store.removed, store.total) == (2, 3 * (SIZE + 2))
    assert SnippetStore(tmp_path, 1, 0).total == store.total


def test_what_is_no_snippet_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_bytes(bytes(SIZE))
    (tmp_path / ".snippet-left").mkdir()
    store = SnippetStore(tmp_path, max_total_mb=0.15, min_free_mb=0)
    store.write("1", SIZE, fill)
    store.write("2", SIZE, fill)
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "2"}


def test_a_full_disk_is_a_typed_error_after_the_old_ones_went(tmp_path: Path, monkeypatch) -> None:
    store = SnippetStore(tmp_path, max_total_mb=100, min_free_mb=10)
    store.write("1", SIZE, fill)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 10**7))
    with pytest.raises(ArtifactError, match=r"the disk is full; got 10 MB free"):
        store.write("2", SIZE, fill)
    assert store.snippets() == []


def test_a_disk_that_fills_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        fill(folder)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = SnippetStore(tmp_path, 100, 0)
    with pytest.raises(ArtifactError, match="No space left"):
        store.write("1", SIZE, fails)
    assert list(tmp_path.iterdir()) == []
    assert store.write("2", SIZE, fill).name == "2"


def test_a_snippet_beyond_all_room_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="larger than the room"):
        SnippetStore(tmp_path, 0.05, 0).write("1", SIZE, fill)
