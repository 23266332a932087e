from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from engine_builds import ADA, ORIN, here, key, target

from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.runtime.trt.cache import EngineCache, EngineRecord
from awml_deploy_core.runtime.trt.selection import select_engine


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path)


def store(cache: EngineCache, content: bytes = b"engine", **changes: object) -> EngineRecord:
    return cache.store(key(**changes), content, "{}\n", seconds=1.0, details={"layers": 3})


def test_what_is_stored_is_found_and_loaded(cache: EngineCache) -> None:
    record = store(cache)
    assert cache.entries() == [record]
    assert cache.find(key(), here()) == (record, [])
    assert cache.load(record) == b"engine"
    assert record.path == f"engines/{key().file_name}"
    assert (cache.folder.parent / str(record.layers)).read_text() == "{}\n"


def test_an_empty_bundle_has_no_engines(cache: EngineCache) -> None:
    assert cache.entries() == []
    assert cache.find(key(), here()) == (None, [])
    assert cache.sweep({}) == []


def test_others_are_not_taken_and_say_why(cache: EngineCache) -> None:
    store(cache, onnx_sha256="b" * 64)
    store(cache, target=target(version="10.9.0.1"))
    store(cache, precision="tf32")
    store(cache, component="head")
    found, reasons = cache.find(key(), here())
    assert found is None
    assert len(reasons) == 3
    text = "\n".join(reasons)
    assert "built from another ONNX file" in text
    assert "built by tensorrt 10.9.0.1, here is 10.13.2.6" in text
    assert "precision tf32, wanted fp16" in text


def test_one_flipped_bit_is_found_before_the_engine_is_opened(cache: EngineCache) -> None:
    record = store(cache, b"engine")
    path = cache.folder.parent / record.path
    path.write_bytes(b"enginf")
    found, (reason,) = cache.find(key(), here())
    assert found is None
    assert "corrupt: SHA-256" in reason
    with pytest.raises(ArtifactError, match="is corrupt"):
        cache.load(record)
    path.write_bytes(b"engin")
    assert "corrupt: 5 bytes, recorded 6" in str(cache.damage(record))
    path.unlink()
    assert cache.damage(record) == "the file is missing"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"path": "engines/x"}'])
def test_an_unreadable_record_is_a_reason(cache: EngineCache, content: str) -> None:
    record = store(cache)
    (cache.folder.parent / f"{record.path}.json").write_text(content)
    found, (reason,) = cache.find(key(), here())
    assert found is None
    assert "unreadable record" in reason


def test_a_record_of_another_engine_is_foreign(cache: EngineCache) -> None:
    record, other = store(cache), store(cache, b"other", precision="tf32")
    (cache.folder.parent / f"{record.path}.json").write_text(other.model_dump_json())
    found, reasons = cache.find(key(), here())
    assert found is None
    assert any("foreign record" in reason for reason in reasons)


def test_a_record_whose_key_was_edited_or_lacks_a_part_is_not_taken(cache: EngineCache) -> None:
    path = cache.folder.parent / f"{store(cache).path}.json"
    content = json.loads(path.read_text())
    del content["key"]["target"]["multiprocessors"]
    path.write_text(json.dumps(content))
    found, (reason,) = cache.find(key(), here())
    assert found is None
    assert "its key is that of encoder.fp16." in reason


def test_an_engine_counts_when_its_record_is_there(cache: EngineCache) -> None:
    record = store(cache)
    (cache.folder.parent / f"{record.path}.json").unlink()
    assert cache.find(key(), here()) == (None, [])


def test_the_sweep_removes_what_is_ours_and_dead(cache: EngineCache) -> None:
    kept, stale = store(cache), store(cache, onnx_sha256="b" * 64)
    orphan = cache.folder / key(precision="tf32").file_name
    orphan.write_bytes(b"no record")
    temporary = cache.folder / f".{orphan.name}.0a1b2c3d.tmp"
    temporary.write_bytes(b"half")
    users = cache.folder / "autoware.engine"
    users.write_bytes(b"not ours")
    removed = cache.sweep({"encoder": "a" * 64})
    assert {orphan.name, temporary.name, stale.path.partition("/")[2]} <= set(removed)
    assert cache.entries() == [kept]
    assert users.exists()
    assert len(list(cache.folder.iterdir())) == 4


@pytest.mark.parametrize("gone", [".json", ""])
def test_an_engine_that_another_process_removes_meanwhile_is_not_there(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    record = store(cache)
    kept = store(cache, precision="tf32")
    path = cache.folder.parent / f"{record.path}{gone}"
    reads = {".json": "read_bytes", "": "open"}[gone]
    original = getattr(Path, reads)

    def remove_first(self: Path, *arguments: Any, **named: Any) -> Any:
        if self == path:
            path.unlink(missing_ok=True)
        return original(self, *arguments, **named)

    monkeypatch.setattr(Path, reads, remove_first)
    found, reasons = cache.find(key(), here())
    assert found is None
    assert any("the file is missing" in reason for reason in reasons) is (gone == "")
    assert cache.find(key(precision="tf32"), here())[0] == kept


def test_an_engine_that_cannot_be_read_is_an_error(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = store(cache)

    def refuse(self: Path, *arguments: Any, **named: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ArtifactError, match="Permission denied"):
        cache.damage(record)


def test_engines_that_differ_in_settings_alone_make_room_for_the_last_build(cache: EngineCache) -> None:
    first = store(cache, flags={"optimization_level": "1"})
    last = store(cache, flags={"optimization_level": "5"})
    others = [
        store(cache, precision="tf32"),
        store(cache, component="head"),
        store(cache, target=target(gpu=ORIN.name, compute_capability="8.7")),
        store(cache, onnx_sha256="b" * 64),
    ]
    assert cache.others([last.key]) == [first]
    cache.discard_others([last.key])
    assert cache.others([last.key]) == []
    assert {record.path for record in cache.records()} == {record.path for record in [last, *others]}
    assert not list(cache.folder.glob(f"{first.path.rpartition('/')[2]}*"))


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    path = tmp_path / "encoder.onnx"
    path.write_bytes(b"graph")
    return path


def test_a_session_takes_the_only_engine_that_fits(cache: EngineCache, onnx: Path) -> None:
    from awml_deploy_core.files import sha256_file

    digest = sha256_file(onnx)
    record = store(cache, onnx_sha256=digest)
    store(cache, onnx_sha256=digest, target=target(version="10.9.0.1"))
    store(cache, component="head", onnx_sha256=digest)
    assert select_engine(cache, "encoder", onnx, here()) == record
    with pytest.raises(ArtifactError, match="built for NVIDIA RTX 4090, here is Orin") as caught:
        select_engine(cache, "encoder", onnx, here(ORIN))
    assert "awml-deploy build" in str(caught.value)
    second = store(cache, onnx_sha256=digest, precision="tf32")
    with pytest.raises(ArtifactError, match="several engines"):
        select_engine(cache, "encoder", onnx, here())
    assert select_engine(cache, "encoder", onnx, here(), "tf32") == second
    (cache.folder.parent / second.path).write_bytes(b"broken")
    with pytest.raises(ArtifactError, match="corrupt"):
        select_engine(cache, "encoder", onnx, here(), "tf32")


def test_a_session_refuses_an_engine_of_a_changed_onnx_file(cache: EngineCache, onnx: Path) -> None:
    store(cache)
    with pytest.raises(ArtifactError, match=r"stale: built from another encoder\.onnx"):
        select_engine(cache, "encoder", onnx, here(ADA))
