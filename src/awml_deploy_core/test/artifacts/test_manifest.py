from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from awml_deploy_core.artifacts import FileRecord, Manifest, Provenance, SourceRecord
from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.files import sha256_file

CREATED = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "encoder.onnx").write_bytes(b"weights")
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines" / "note.txt").write_bytes(b"")
    return tmp_path


@pytest.fixture
def manifest(folder: Path, mlp_spec: ComponentSpec) -> Manifest:
    return Manifest(
        family="pillars",
        model={"class_names": ["CAR"], "head_convention": {"dim_order": "wlh"}},
        components=(mlp_spec,),
        files=tuple(FileRecord.of(folder, path, "test") for path in ("encoder.onnx", "engines/note.txt")),
        provenance=Provenance(created=CREATED, versions={"python": "3.11"}),
    )


def test_what_is_written_is_read(folder: Path, manifest: Manifest) -> None:
    manifest.write(folder)
    assert Manifest.read(folder) == manifest


def test_the_same_manifest_gives_the_same_bytes(folder: Path, manifest: Manifest) -> None:
    first = manifest.write(folder).read_bytes()
    assert Manifest.read(folder).write(folder).read_bytes() == first


def test_the_file_is_plain_json_with_specs_and_hashes(folder: Path, manifest: Manifest) -> None:
    document = json.loads(manifest.write(folder).read_text())
    assert document["schema_version"] == 1
    assert document["components"][0]["inputs"][0]["shape"][0] == {
        "name": "num_voxels",
        "min": 1,
        "opt": 100,
        "max": 1000,
    }
    assert document["files"][0] == {
        "path": "encoder.onnx",
        "sha256": sha256_file(folder / "encoder.onnx"),
        "size": 7,
        "produced_by": "test",
    }
    assert document["provenance"]["created"] == "2026-11-24T12:00:00Z"


def change(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    target: Any = document
    for part in parents:
        target = target[int(part)] if part.isdigit() else target[part]
    target[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema_version", 2),
        ("family", None),
        ("unknown", 1),
        ("files.0.sha256", "abc"),
        ("files.0.path", "../outside.onnx"),
        ("files.0.path", "/etc/passwd"),
        ("files.0.path", "a//b"),
        ("files.0.path", ""),
        ("files.0.size", -1),
        ("components.0.inputs.0.shape.0.min", 5000),
        ("components.0.inputs", "none"),
        ("provenance.created", "2026-11-24T12:00:00"),
    ],
)
def test_an_invalid_manifest_is_a_typed_error(
    folder: Path, manifest: Manifest, path: str, value: Any
) -> None:
    document = json.loads(manifest.write(folder).read_text())
    change(document, path, value)
    (folder / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match=r"manifest\.json: is not a valid manifest") as caught:
        Manifest.read(folder)
    assert caught.value.problems


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("modle", {}, "modle: unknown key (did you mean model?)"),
        ("provenance.createt", 1, "provenance.createt: unknown key (did you mean created?)"),
        ("components.0.input", [], "components.0.input: unknown key (did you mean inputs?)"),
        ("files.0.size", -1, "files.0.size: input should be greater than or equal to 0, got -1"),
    ],
)
def test_a_wrong_key_says_what_was_meant(
    folder: Path, manifest: Manifest, path: str, value: Any, expected: str
) -> None:
    document = json.loads(manifest.write(folder).read_text())
    change(document, path, value)
    (folder / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(ArtifactError) as caught:
        Manifest.read(folder)
    assert caught.value.problems == (expected,)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_file_that_is_no_manifest_is_a_typed_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(ArtifactError, match="is not a valid manifest"):
        Manifest.read(tmp_path)


def test_a_missing_manifest_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"manifest\.json: cannot be read; got No such file"):
        Manifest.read(tmp_path)


def test_an_untouched_folder_has_no_problems(folder: Path, manifest: Manifest) -> None:
    (folder / "extra.txt").write_text("allowed")
    assert manifest.file_problems(folder) == []


def test_every_changed_file_is_listed(folder: Path, manifest: Manifest) -> None:
    (folder / "encoder.onnx").write_bytes(b"WEIGHTS")
    (folder / "engines" / "note.txt").unlink()
    assert [problem.split(",")[0] for problem in manifest.file_problems(folder)] == [
        f"encoder.onnx has SHA-256 {sha256_file(folder / 'encoder.onnx')}",
        "engines/note.txt is missing",
    ]


def test_without_hashes_only_sizes_are_compared(folder: Path, manifest: Manifest) -> None:
    (folder / "encoder.onnx").write_bytes(b"WEIGHTS")
    assert manifest.file_problems(folder, hashes=False) == []
    (folder / "encoder.onnx").write_bytes(b"longer than before")
    assert manifest.file_problems(folder, hashes=False) == ["encoder.onnx has 18 bytes, expected 7"]


def test_a_component_without_a_recorded_file_is_a_problem(folder: Path, manifest: Manifest) -> None:
    lacking = manifest.model_copy(update={"files": manifest.files[1:]})
    assert lacking.file_problems(folder) == ["encoder.onnx of component encoder is not recorded"]


def test_a_manifest_cannot_be_changed(manifest: Manifest) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        manifest.family = "other"  # type: ignore[misc]


def test_provenance_of_now_is_in_utc_and_names_sources_without_their_folder(tmp_path: Path) -> None:
    checkpoint, config = tmp_path / "epoch_50.pth", tmp_path / "deploy.yaml"
    checkpoint.write_bytes(b"weights")
    config.write_text("name: x")
    provenance = Provenance.now(
        checkpoint=checkpoint, deploy_config=config, export={"encoder": {"opset": 17}}
    )
    assert provenance.created.tzinfo == timezone.utc
    assert provenance.checkpoint == SourceRecord(
        name="epoch_50.pth", sha256=sha256_file(checkpoint), size=7
    )
    assert provenance.deploy_config is not None
    assert provenance.export == {"encoder": {"opset": 17}}
    assert str(tmp_path) not in provenance.model_dump_json()
    assert {"python", "numpy", "awml_deploy_core"} <= set(provenance.versions)


def test_packages_of_plug_ins_are_recorded_among_the_versions() -> None:
    versions = Provenance.now(plugins={"my_family": "1.2"}).versions
    assert versions["my_family"] == "1.2"
    assert "awml_deploy_core" in versions


def test_a_missing_checkpoint_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        Provenance.now(checkpoint=tmp_path / "no.pth")
