"""Is the bundle the one that is configured, and does it fit together? Before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from awml_deploy_core.artifacts import Manifest, ModelBundle, SourceRecord
from awml_deploy_core.components import ComponentSpec, DynamicAxis
from awml_deploy_core.config.verification import Precision
from awml_deploy_core.files import sha256_file
from awml_deploy_core.runtime.trt.cache import Broken, EngineCache
from awml_deploy_core.verification.differences import differences
from awml_deploy_core.verification.tolerances import coarsest
from awml_deploy_core.verification.vehicle_files import vehicle_file_problems
from awml_deploy_core.verification.verdict import CheckResult, Status

BUNDLE = "bundle"


def bundle_checks(
    bundle: ModelBundle, configured: Mapping[str, Any] | None, checkpoint: Path | None
) -> Iterator[CheckResult]:
    """Compare a bundle with what it should have been made from, as far as its manifest says.

    Args:
        bundle: The bundle; one without a manifest gives no check.
        configured: The model's settings in the deploy.yaml; None if there is none.
        checkpoint: The trained weights that are configured.

    Raises:
        ArtifactError: The checkpoint or a file of the bundle cannot be read.
    """
    manifest = bundle.manifest
    if manifest is None:
        return
    if configured is not None:
        # What an earlier version did not know yet has its default, as it has when the bundle runs.
        exported = bundle.family.dump_config(bundle.config)
        keys = sorted(configured.keys() | exported.keys())
        changed = [key for key in keys if configured.get(key) != exported.get(key)]
        texts = [
            f"{where} is {found} in the bundle, {wanted} in the configuration"
            for where, found, wanted in differences(exported, configured)
        ]
        yield _check(
            "model settings",
            "; ".join(texts) and f"exported with other settings: {'; '.join(texts)}; export again",
            "as configured",
            {"keys": changed},
        )
    recorded = manifest.provenance.checkpoint
    if checkpoint is not None and recorded is not None:
        same = SourceRecord.of(checkpoint).sha256 == recorded.sha256
        problem = f"exported from another checkpoint ({recorded.name}) than {checkpoint}; export again"
        yield _check("checkpoint", "" if same else problem, "exported from the configured one", {})
    yield _check(
        "files of the vehicle's node",
        "; ".join(vehicle_file_problems(bundle)),
        "say what the manifest says",
        {},
    )
    needed = bundle.family.component_specs(bundle.config)
    yield _check(
        "ranges of the components",
        "; ".join(_range_problems(bundle.specs, needed)),
        "as large as the model needs",
        {},
    )
    yield from _engine_checks(bundle)


def _range_problems(recorded: Sequence[ComponentSpec], needed: Sequence[ComponentSpec]) -> Iterator[str]:
    """Where a component takes less than its model can ask for: what is beyond would be left out."""
    for spec, wanted in zip(recorded, needed, strict=True):
        for tensor, full in zip(spec.inputs, wanted.inputs, strict=True):
            for axis, other in zip(tensor.shape, full.shape, strict=True):
                if not isinstance(axis, DynamicAxis) or not isinstance(other, DynamicAxis):
                    continue
                if axis.min > other.min or axis.max < other.max:
                    yield (
                        f"{spec.name}: {tensor.name} takes {axis.min} to {axis.max} {axis.name}, the model "
                        f"needs {other.min} to {other.max}; export again"
                    )


def _engine_checks(bundle: ModelBundle) -> Iterator[CheckResult]:
    """Whether components that have engines have one of their present file; no GPU is needed to say so."""
    cache = EngineCache(bundle.folder)
    entries = cache.entries()
    for spec in bundle.specs:
        digest, reasons, fits = "", [], False
        for entry in entries:
            if isinstance(entry, Broken):
                reasons += [f"{entry.path}: {entry.problem}"] if f"/{spec.name}." in entry.path else []
                continue
            if entry.key.component != spec.name:
                continue
            digest = digest or sha256_file(bundle.folder / spec.onnx_file)
            if entry.key.onnx_sha256 != digest:
                reasons.append(f"{entry.path}: stale, built from another {spec.onnx_file}")
            elif damage := cache.damage(entry):
                reasons.append(f"{entry.path}: {damage}")
            else:
                fits = True
        if reasons or fits:
            problem = "" if fits else f"{'; '.join(reasons)}; build again: awml-deploy build"
            yield _check(f"engines of {spec.name}", problem, "built from the present file", {})


def _check(what: str, problem: str, fine: str, details: Mapping[str, Any]) -> CheckResult:
    status = Status.FAILED if problem else Status.PASSED
    return CheckResult(f"{BUNDLE} / {what}", status, problem or fine, details={"level": BUNDLE, **details})


def recorded_precision(manifest: Manifest | None) -> Precision:
    """The coarsest precision of a bundle's files, as its manifest says; fp32 where it says nothing."""
    exported = manifest.provenance.export.values() if manifest is not None else ()
    return coarsest(item.get("precision") for item in exported if isinstance(item, dict))
