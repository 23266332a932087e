from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.artifacts import BundleWriter, ModelBundle, Provenance, bundle
from awml_deploy_core.components import ComponentSpec, ExportableComponent
from awml_deploy_core.device import CPU
from awml_deploy_core.errors import ArtifactError, ConfigError
from awml_deploy_core.runtime import open_sessions


class FakeFamily:
    """Recognises a folder by ``package.yaml``."""

    name = "pillars"

    def __init__(self, spec: ComponentSpec) -> None:
        self.spec = spec

    def parse_config(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        if "classes" not in raw:
            raise ConfigError("model", "is invalid", problems=["classes is missing"])
        return dict(raw)

    def component_specs(self, config: Any) -> tuple[ComponentSpec, ...]:
        return (self.spec,)

    def read_bundle(self, folder: Path) -> dict[str, Any] | None:
        return {"classes": ["CAR"]} if (folder / "package.yaml").exists() else None


@pytest.fixture(autouse=True)
def family(monkeypatch: pytest.MonkeyPatch, mlp_spec: ComponentSpec) -> FakeFamily:
    family = FakeFamily(mlp_spec)

    def load(name: str) -> FakeFamily:
        if name != "pillars":
            raise ConfigError("model.family", "unknown model family", got=name)
        return family

    monkeypatch.setattr(bundle, "available_families", lambda: ("pillars",))
    monkeypatch.setattr(bundle, "load_family", load)
    return family


def write(
    folder: Path, spec: ComponentSpec, model: dict[str, Any] | None = None, name: str = "pillars"
) -> None:
    with BundleWriter(folder) as writer:
        (writer.staging / "encoder.onnx").write_bytes(b"weights")
        (writer.staging / "package.yaml").write_text("version: 1")
        writer.commit(
            family=name,
            model=model or {"classes": ["CAR"]},
            components=(spec,),
            provenance=Provenance.now(),
            produced_by={"encoder.onnx": "torch.onnx.export"},
        )


def test_an_own_bundle_opens_with_its_manifest(tmp_path: Path, mlp_spec: ComponentSpec) -> None:
    write(tmp_path / "b", mlp_spec)
    opened = ModelBundle.open(tmp_path / "b")
    assert opened.manifest is not None
    assert not opened.is_foreign
    assert opened.family.name == "pillars"
    assert opened.config == {"classes": ["CAR"]}
    assert opened.specs == (mlp_spec,)
    assert [(record.path, record.produced_by) for record in opened.manifest.files] == [
        ("encoder.onnx", "torch.onnx.export"),
        ("package.yaml", "model family pillars"),
    ]


def test_extra_files_are_allowed_and_reported(tmp_path: Path, mlp_spec: ComponentSpec) -> None:
    write(tmp_path / "b", mlp_spec)
    (tmp_path / "b" / "engines").mkdir()
    (tmp_path / "b" / "engines" / "fp16.engine").write_bytes(b"")
    assert ModelBundle.open(tmp_path / "b").extra_files == ("engines/fp16.engine",)


def test_every_changed_or_missing_file_is_listed(tmp_path: Path, mlp_spec: ComponentSpec) -> None:
    write(tmp_path / "b", mlp_spec)
    (tmp_path / "b" / "encoder.onnx").write_bytes(b"WEIGHTS")
    (tmp_path / "b" / "package.yaml").unlink()
    with pytest.raises(ArtifactError, match="its files do not match its manifest") as caught:
        ModelBundle.open(tmp_path / "b")
    assert len(caught.value.problems) == 2


def test_without_verification_contents_are_not_compared(tmp_path: Path, mlp_spec: ComponentSpec) -> None:
    write(tmp_path / "b", mlp_spec)
    (tmp_path / "b" / "encoder.onnx").write_bytes(b"WEIGHTS")
    assert ModelBundle.open(tmp_path / "b", verify=False).manifest is not None


def test_a_foreign_bundle_opens_without_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "encoder.onnx").write_bytes(b"weights")
    (tmp_path / "package.yaml").write_text("version: 1")
    opened = ModelBundle.open(tmp_path)
    assert opened.is_foreign
    assert opened.manifest is None
    assert opened.extra_files == ()
    assert opened.config == {"classes": ["CAR"]}


def test_a_foreign_bundle_that_lacks_its_onnx_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "package.yaml").write_text("version: 1")
    with pytest.raises(ArtifactError, match=r"encoder\.onnx is missing"):
        ModelBundle.open(tmp_path)


def test_a_folder_no_family_recognises_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"is not a model bundle.*\(pillars\)"):
        ModelBundle.open(tmp_path)


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_missing_folder_is_an_artifact_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="bundle folder is missing"):
        ModelBundle.open(tmp_path / name)


def test_a_folder_that_the_system_refuses_is_an_artifact_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read; got File name too long"):
        ModelBundle.open(tmp_path / ("a" * 300))


def test_a_family_that_is_not_installed_is_named(tmp_path: Path, mlp_spec: ComponentSpec) -> None:
    write(tmp_path / "b", mlp_spec, name="cameras")
    with pytest.raises(ConfigError, match="got cameras"):
        ModelBundle.open(tmp_path / "b")


def test_a_configuration_the_family_refuses_is_an_artifact_error(
    tmp_path: Path, mlp_spec: ComponentSpec
) -> None:
    write(tmp_path / "b", mlp_spec, model={"labels": 1})
    with pytest.raises(ArtifactError, match=r"manifest\.json: .*not one of family pillars") as caught:
        ModelBundle.open(tmp_path / "b")
    assert caught.value.problems == ("classes is missing",)


def test_components_are_found_by_name(tmp_path: Path, mlp_spec: ComponentSpec) -> None:
    write(tmp_path / "b", mlp_spec)
    opened = ModelBundle.open(tmp_path / "b")
    assert opened.onnx_path("encoder") == tmp_path / "b" / "encoder.onnx"
    with pytest.raises(ArtifactError, match="has no such component; got head; expected encoder"):
        opened.onnx_path("head")


def test_its_sources_open_in_both_backends(
    tmp_path: Path, mlp_component: ExportableComponent, mlp_file: Path
) -> None:
    with BundleWriter(tmp_path / "b") as writer:
        (writer.staging / "encoder.onnx").write_bytes(mlp_file.read_bytes())
        writer.commit(
            family="pillars",
            model={"classes": []},
            components=(mlp_component.spec,),
            provenance=Provenance.now(),
        )
    sources = ModelBundle.open(tmp_path / "b").sources({"encoder": lambda: mlp_component.module})
    inputs = {"input_features": np.ones((3, 8, 9), np.float32)}
    outputs = [
        open_sessions(sources, backend, CPU)["encoder"].run(inputs)["pillar_features"]
        for backend in ("pytorch", "onnxruntime")
    ]
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-4, atol=1e-5)


def test_opening_imports_no_framework(tmp_path: Path, mlp_spec: ComponentSpec) -> None:
    code = """
import sys
from awml_deploy_core.artifacts import ArtifactManager, BundleWriter, Manifest, ModelBundle
print(*sorted({"torch", "onnx", "onnxruntime", "onnxslim", "rich"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("damage", ["no components", "another dtype", "another shape"])
def test_components_that_contradict_the_model_are_refused(
    damage: str, tmp_path: Path, mlp_spec: ComponentSpec
) -> None:
    write(tmp_path / "bundle", mlp_spec)
    path = tmp_path / "bundle" / "manifest.json"
    manifest = json.loads(path.read_text())
    tensor = manifest["components"][0]["outputs"][0]
    if damage == "no components":
        manifest["components"] = []
    elif damage == "another dtype":
        tensor["dtype"] = "float16"
    else:
        tensor["shape"][-1] += 1
    path.write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="its components are not those of its model") as caught:
        ModelBundle.open(tmp_path / "bundle")
    assert "expected" in caught.value.problems[0]
