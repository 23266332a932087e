"""What a bundle is: components, tensors, files, provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from awml_deploy_core.artifacts import ModelBundle
from awml_deploy_core.components import ComponentSpec, TensorSpec
from awml_deploy_core.files import sha256_file


def inspect_bundle(folder: Path) -> dict[str, Any]:
    """JSON-ready facts of a bundle whose files match its manifest.

    Raises:
        ArtifactError: The folder is no bundle, or its files are missing or changed.
        ConfigError: Its model family is not installed.
    """
    bundle = ModelBundle.open(folder)
    manifest = bundle.manifest
    produced_by = {record.path: record.produced_by for record in manifest.files} if manifest else {}
    hashes = {record.path: record.sha256 for record in manifest.files} if manifest else {}
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in paths]
    return {
        "folder": str(folder),
        "foreign": bundle.is_foreign,
        "family": bundle.family.name,
        "model": bundle.family.dump_config(bundle.config),
        "components": [_component(spec) for spec in bundle.specs],
        "files": [
            {
                "path": name,
                "size": path.stat().st_size,
                "sha256": hashes.get(name) or sha256_file(path),
                "recorded": name in hashes,
                "produced_by": produced_by.get(name),
            }
            for name, path in zip(names, paths, strict=True)
        ],
        "provenance": manifest.provenance.model_dump(mode="json") if manifest else None,
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
