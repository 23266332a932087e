"""Writes a variant as a bundle of its own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from awml_deploy_core.artifacts import BundleWriter, ModelBundle, Provenance
from awml_deploy_core.artifacts.manager import ONNXRUNTIME
from awml_deploy_core.artifacts.manifest import MANIFEST_NAME
from awml_deploy_core.artifacts.references import Reference, known_inputs, reference_path, write_reference
from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.device import CPU
from awml_deploy_core.errors import ConfigError
from awml_deploy_core.files import io_errors
from awml_deploy_core.packages import installed_versions
from awml_deploy_core.precision.variants import Files
from awml_deploy_core.runtime import SessionOptions, SessionSource, load_backend

REFERENCE_BY = "ONNX Runtime on known inputs"
_PACKAGES = ("awml_deploy_core", "onnx", "onnxruntime", "numpy")


def write_variant(
    bundle: ModelBundle, files: Files, folder: Path, details: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write a bundle with other ONNX files and new recorded outputs; the rest stays as it was.

    Args:
        bundle: What the variant was made from.
        files: ONNX files by component.
        folder: Of the new bundle; an earlier one stays until the new one is whole.
        details: What the manifest says of each component's file, ``precision`` among it.

    Raises:
        ArtifactError: A file cannot be read or written, or a component cannot be run.
        ConfigError: The folder is the bundle's own.
    """
    if folder.resolve() == bundle.folder.resolve():
        raise ConfigError(
            "--write", "would replace the bundle that was studied", got=folder, expected="another folder"
        )
    exported = _exported(bundle)
    with BundleWriter(folder) as writer:
        for path in _recorded(bundle):
            target = writer.staging / path
            with io_errors(target, "cannot be written"):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(bundle.folder / path, target)
        makers = _makers(bundle)
        for spec in bundle.specs:
            with io_errors(files[spec.name], "cannot be copied"):
                shutil.copyfile(files[spec.name], writer.staging / spec.onnx_file)
            makers[spec.onnx_file] = f"awml-deploy precision: {details[spec.name].get('precision')}"
            _record_outputs(writer.staging, spec)
            makers[reference_path(Path(), spec.name).as_posix()] = REFERENCE_BY
        writer.commit(
            family=bundle.family.name,
            model=bundle.family.dump_config(bundle.config),
            components=bundle.specs,
            provenance=_provenance(
                bundle, {name: {**exported.get(name, {}), **details[name]} for name in details}
            ),
            produced_by=makers,
        )


def _recorded(bundle: ModelBundle) -> list[str]:
    """Files to take over, relative to the bundle."""
    if bundle.manifest is not None:
        return [record.path for record in bundle.manifest.files]
    return [path.name for path in bundle.folder.iterdir() if path.is_file() and path.name != MANIFEST_NAME]


def _makers(bundle: ModelBundle) -> dict[str, str]:
    if bundle.manifest is None:
        return {}
    return {record.path: record.produced_by for record in bundle.manifest.files}


def _exported(bundle: ModelBundle) -> dict[str, dict[str, Any]]:
    recorded = bundle.manifest.provenance.export if bundle.manifest is not None else {}
    return {name: item for name, item in recorded.items() if isinstance(item, dict)}


def _record_outputs(folder: Path, spec: ComponentSpec) -> None:
    """What the lowered graph gives: the trained module's outputs are no longer what it must give."""
    inputs = known_inputs(spec)
    source = SessionSource(spec, folder / spec.onnx_file)
    session = load_backend(ONNXRUNTIME).open_session(source, CPU, SessionOptions())
    try:
        write_reference(folder, spec.name, Reference.of(spec, inputs, session.run(inputs)))
    finally:
        session.close()


def _provenance(bundle: ModelBundle, export: dict[str, Any]) -> Provenance:
    if bundle.manifest is None:
        return Provenance.now(export=export)
    old = bundle.manifest.provenance
    return old.model_copy(
        update={
            "created": datetime.now(timezone.utc).replace(microsecond=0),
            "export": export,
            "versions": {**old.versions, **installed_versions(_PACKAGES)},
        }
    )
