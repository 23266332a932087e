"""What a bundle is: components, tensors, files, provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from awml_deploy_core.artifacts import FileRecord, ModelBundle
from awml_deploy_core.components import ComponentSpec, TensorSpec
from awml_deploy_core.files import sha256_file
from awml_deploy_core.runtime.trt.cache import Broken, EngineCache, EngineRecord

UNKNOWN = "unknown"
"""Producer of a file that no manifest names."""


def inspect_bundle(folder: Path) -> dict[str, Any]:
    """JSON-ready facts of a bundle whose files match its manifest.

    Raises:
        ArtifactError: The folder is no bundle, or its files are missing or changed.
        ConfigError: Its model family is not installed.
    """
    bundle = ModelBundle.open(folder)
    manifest = bundle.manifest
    return {
        "folder": str(folder),
        "foreign": bundle.is_foreign,
        "family": bundle.family.name,
        "model": bundle.family.dump_config(bundle.config),
        "components": [_component(spec) for spec in bundle.specs],
        "engines": [_engine(bundle, entry) for entry in EngineCache(folder).entries()],
        "files": [record.model_dump(mode="json") for record in _file_records(bundle)],
        "provenance": manifest.provenance.model_dump(mode="json") if manifest else None,
    }


def _file_records(bundle: ModelBundle) -> list[FileRecord]:
    """Records of the manifest, and of files that neither it nor an engine names."""
    if bundle.manifest is None:
        paths = (path for path in bundle.folder.rglob("*") if path.is_file())
        unrecorded = sorted(path.relative_to(bundle.folder).as_posix() for path in paths)
        return [FileRecord.of(bundle.folder, path, UNKNOWN) for path in unrecorded]
    extra = [FileRecord.of(bundle.folder, path, UNKNOWN) for path in bundle.extra_files]
    return [*bundle.manifest.files, *extra]


def _engine(bundle: ModelBundle, entry: EngineRecord | Broken) -> dict[str, Any]:
    """An engine with its state: whether it belongs to the bundle's ONNX file and is whole."""
    if isinstance(entry, Broken):
        return {"path": entry.path, "state": entry.problem, "component": "", "target": "", "precision": ""}
    key = entry.key
    current = any(
        spec.name == key.component and sha256_file(bundle.folder / spec.onnx_file) == key.onnx_sha256
        for spec in bundle.specs
    )
    damage = EngineCache(bundle.folder).damage(entry)
    return {
        "path": entry.path,
        "component": key.component,
        "precision": key.precision,
        "target": str(key.target),
        "state": damage or ("fits the ONNX file" if current else "stale: built from another ONNX file"),
        "recorded": bundle.manifest is not None and entry in bundle.manifest.engines,
        **entry.model_dump(mode="json", include={"size", "sha256", "created", "seconds", "key", "details"}),
    }


def _component(spec: ComponentSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "file": spec.onnx_file,
        "inputs": [_tensor(tensor) for tensor in spec.inputs],
        "outputs": [_tensor(tensor) for tensor in spec.outputs],
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "dtype": spec.dtype, "shape": [_axis(axis) for axis in spec.shape]}


def _axis(axis: Any) -> int | str:
    return axis if isinstance(axis, int) else str(axis)
