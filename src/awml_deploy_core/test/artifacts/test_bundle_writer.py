from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from awml_deploy_core.artifacts import BundleWriter, Manifest, Provenance, exchange
from awml_deploy_core.artifacts.exchange import recover_folder, replace_folder, set_aside_path
from awml_deploy_core.artifacts.writer import recover_bundle
from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.errors import ArtifactError

SPEC = ComponentSpec("m", "m.onnx", (), ())


def stage(writer: BundleWriter, content: str) -> None:
    (writer.staging / "m.onnx").write_text(content)
    (writer.staging / "sub").mkdir()
    (writer.staging / "sub" / "info.yaml").write_text(content)


def commit(writer: BundleWriter) -> Manifest:
    return writer.commit(family="f", model={}, components=(SPEC,), provenance=Provenance.now())


def write(folder: Path, content: str) -> Manifest:
    with BundleWriter(folder) as writer:
        stage(writer, content)
        return commit(writer)


def content(folder: Path) -> str:
    """The bundle's content, after its files were compared with its manifest."""
    assert Manifest.read(folder).file_problems(folder) == []
    assert {path.name for path in folder.iterdir()} >= {"m.onnx", "sub", "manifest.json"}
    return (folder / "m.onnx").read_text()


def neighbours(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder.parent) if not name.endswith(".lock"))


@pytest.fixture(params=["exchange", "two renames"])
def swap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "two renames":
        monkeypatch.setattr(exchange, "_exchange", lambda a, b: False)
    return str(request.param)


@pytest.mark.usefixtures("swap")
def test_writes_and_replaces_a_bundle(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "b"
    write(folder, "one")
    assert content(folder) == "one"
    manifest = write(folder, "two")
    assert content(folder) == "two"
    assert Manifest.read(folder) == manifest
    assert neighbours(folder) == ["b"]


@pytest.mark.usefixtures("swap")
def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    write(tmp_path / "b", "one")
    assert content(tmp_path / "b") == "one"


def test_this_system_exchanges_names_in_one_step(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("renameat2 is Linux's")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert exchange._exchange(tmp_path / "a", tmp_path / "b")
    assert os.listdir(tmp_path / "a") == ["b"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_write_leaves_the_previous_bundle(
    tmp_path: Path, error: type[BaseException]
) -> None:
    folder = tmp_path / "b"
    write(folder, "one")

    def interrupted() -> None:
        with BundleWriter(folder) as writer:
            stage(writer, "two")
            raise error

    with pytest.raises(error):
        interrupted()
    assert content(folder) == "one"
    assert neighbours(folder) == ["b"]


def test_leaving_without_a_commit_writes_nothing(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "b") as writer:
        stage(writer, "one")
    assert neighbours(tmp_path / "b") == []


def test_a_missing_component_file_is_refused_and_the_previous_bundle_stays(tmp_path: Path) -> None:
    write(tmp_path / "b", "one")
    with BundleWriter(tmp_path / "b") as writer, pytest.raises(ArtifactError, match="bundle is incomplete"):
        commit(writer)
    assert content(tmp_path / "b") == "one"


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("important")
    with pytest.raises(ArtifactError, match="will not be replaced"):
        write(tmp_path / "home", "one")
    assert (tmp_path / "home" / "thesis.txt").read_text() == "important"
    assert neighbours(tmp_path / "home") == ["home"]


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("a file")
    with pytest.raises(ArtifactError, match="will not be replaced"):
        write(tmp_path / "b", "one")


def test_files_beside_the_recorded_ones_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    write(folder, "one")
    (folder / "engines").mkdir()
    (folder / "engines" / "fp16.engine").write_text("engine")
    (folder / "latest").symlink_to("engines")
    write(folder, "two")
    assert (folder / "engines" / "fp16.engine").read_text() == "engine"
    assert (folder / "latest").is_symlink()
    assert content(folder) == "two"
    assert [record.path for record in Manifest.read(folder).files] == ["m.onnx", "sub/info.yaml"]


def test_recorded_files_that_are_no_longer_written_disappear(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    with BundleWriter(folder) as writer:
        stage(writer, "one")
        (writer.staging / "old.yaml").write_text("")
        commit(writer)
    write(folder, "two")
    assert not (folder / "old.yaml").exists()


def test_a_bundle_with_a_corrupt_manifest_can_be_written_again(tmp_path: Path) -> None:
    write(tmp_path / "b", "one")
    (tmp_path / "b" / "manifest.json").write_text("{")
    write(tmp_path / "b", "two")
    assert content(tmp_path / "b") == "two"


def test_a_link_to_a_bundle_stays_a_link(tmp_path: Path) -> None:
    write(tmp_path / "v1", "one")
    (tmp_path / "current").symlink_to("v1")
    write(tmp_path / "current", "two")
    assert (tmp_path / "current").is_symlink()
    assert content(tmp_path / "v1") == "two"


def test_a_second_writer_is_turned_away(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "b") as first:
        second = BundleWriter(tmp_path / "b", lock_timeout=0)
        with pytest.raises(ArtifactError, match="another process is writing this bundle"):
            second.__enter__()
        stage(first, "one")
        commit(first)
    assert content(tmp_path / "b") == "one"


def test_the_lock_is_free_after_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("a file")
    with pytest.raises(ArtifactError):
        write(tmp_path / "b", "one")
    (tmp_path / "b").unlink()
    write(tmp_path / "b", "one")


def test_after_a_commit_there_is_no_staging_folder(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "b") as writer:
        stage(writer, "one")
        commit(writer)
        with pytest.raises(ArtifactError, match="is not open"):
            _ = writer.staging


def test_stale_staging_folders_go_at_the_next_write(tmp_path: Path) -> None:
    (tmp_path / ".b.staging-dead").mkdir()
    (tmp_path / ".b[1].staging-dead").mkdir()
    (tmp_path / ".bb.staging-other").mkdir()
    write(tmp_path / "b", "one")
    write(tmp_path / "b[1]", "one")
    assert neighbours(tmp_path / "b") == [".bb.staging-other", "b", "b[1]"]


def test_a_folder_that_cannot_be_made_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="bundle cannot be written"):
        write(tmp_path / "file" / "b", "one")


def test_a_failing_second_rename_puts_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "b"
    write(folder, "one")
    (tmp_path / "new").mkdir()
    real = os.rename

    def rename(source: Path, target: Path) -> None:
        if source.name == "new":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(exchange, "_exchange", lambda a, b: False)
    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(OSError, match="No space left"):
        replace_folder(tmp_path / "new", folder)
    assert content(folder) == "one"


def test_a_crash_between_two_renames_is_undone_by_the_next_reader(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    write(folder, "one")
    os.rename(folder, set_aside_path(folder))
    assert recover_bundle(folder)
    assert content(folder) == "one"
    assert not recover_bundle(folder)


def test_a_crash_between_two_renames_is_undone_by_the_next_writer(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    write(folder, "one")
    os.rename(folder, set_aside_path(folder))
    with BundleWriter(folder):
        assert content(folder) == "one"


def test_a_crash_after_both_renames_leaves_the_new_folder(tmp_path: Path) -> None:
    write(tmp_path / "b", "two")
    write(tmp_path / "old", "one")
    os.rename(tmp_path / "old", set_aside_path(tmp_path / "b"))
    assert not recover_folder(tmp_path / "b")
    assert content(tmp_path / "b") == "two"
    assert neighbours(tmp_path / "b") == ["b"]


WRITER = """
import os, sys, time
from pathlib import Path
from awml_deploy_core.artifacts import BundleWriter, Provenance, exchange, writer as module
from awml_deploy_core.components import ComponentSpec

folder, point = Path(sys.argv[1]), sys.argv[2]

def stop(*_):
    print("ready", flush=True)
    time.sleep(60)

if point == "flush":
    module.fsync_tree = stop
if point == "renames":
    exchange._exchange = lambda a, b: False
    real = os.rename
    def rename(a, b):
        if Path(b) == folder:
            stop()
        real(a, b)
    os.rename = rename
with BundleWriter(folder) as writer:
    (writer.staging / "m.onnx").write_text("two")
    if point == "export":
        stop()
    writer.commit(family="f", model={}, components=(ComponentSpec("m", "m.onnx", (), ()),),
                  provenance=Provenance.now())
"""


@pytest.mark.parametrize("point", ["export", "flush", "renames"])
def test_a_killed_writer_leaves_the_previous_bundle(tmp_path: Path, point: str) -> None:
    folder = tmp_path / "b"
    write(folder, "one")
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), point], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()

    if point == "renames":
        assert recover_bundle(folder)
    assert content(folder) == "one"
    write(folder, "three")
    assert content(folder) == "three"
    assert neighbours(folder) == ["b"]


LOOP = """
import sys
from pathlib import Path
from awml_deploy_core.artifacts import BundleWriter, Provenance
from awml_deploy_core.components import ComponentSpec

for number in range(20):
    with BundleWriter(Path(sys.argv[1])) as writer:
        (writer.staging / "m.onnx").write_text(str(number))
        writer.commit(family="f", model={}, components=(ComponentSpec("m", "m.onnx", (), ()),),
                      provenance=Provenance.now())
"""


def test_a_reader_never_sees_anything_but_a_whole_bundle(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    write(folder, "one")
    process = subprocess.Popen([sys.executable, "-c", LOOP, str(folder)])
    reads = 0
    try:
        while process.poll() is None:
            assert (folder / "manifest.json").exists()
            assert (folder / "m.onnx").exists()
            reads += 1
            time.sleep(0.0005)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert reads > 10
    assert (folder / "m.onnx").read_text() == "19"
