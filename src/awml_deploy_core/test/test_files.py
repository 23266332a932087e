import hashlib
import os
from pathlib import Path

import pytest

from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.files import atomic_write, fsync_tree, sha256_file, write_bytes, write_text


def test_writes_and_replaces_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "grün")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def interrupted() -> None:
        with atomic_write(path) as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_file_does_not_exist_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with atomic_write(path) as stream:
        stream.write(b"x")
        assert not path.exists()
    assert path.read_bytes() == b"x"


def test_new_files_follow_the_umask(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "")
    finally:
        os.umask(previous)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_a_missing_folder_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be written; got No such file or directory"):
        write_text(tmp_path / "no" / "a.txt", "")


@pytest.mark.parametrize("size", [0, 1, (1 << 20) + 1])
def test_hash_is_of_the_whole_content(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "a").write_bytes(content)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_hash_of_a_missing_file_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        sha256_file(tmp_path / "a")


def test_fsync_tree_accepts_dangling_links(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write_text(tmp_path / "sub" / "a", "")
    (tmp_path / "sub" / "link").symlink_to("nowhere")
    fsync_tree(tmp_path)
