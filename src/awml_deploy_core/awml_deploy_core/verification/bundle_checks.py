"""Is the bundle the one that is configured? Settings and weights, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from awml_deploy_core.artifacts import Manifest, ModelBundle, SourceRecord
from awml_deploy_core.config.verification import Precision
from awml_deploy_core.verification.tolerances import coarsest
from awml_deploy_core.verification.verdict import CheckResult, Status

BUNDLE = "bundle"
_MOST_SHOWN = 60


def bundle_checks(
    bundle: ModelBundle, configured: Mapping[str, Any] | None, checkpoint: Path | None
) -> Iterator[CheckResult]:
    """Compare a bundle with what it should have been made from, as far as its manifest says.

    Args:
        bundle: The bundle; one without a manifest gives no check.
        configured: The model's settings in the deploy.yaml; None if there is none.
        checkpoint: The trained weights that are configured.

    Raises:
        ArtifactError: The checkpoint cannot be read.
    """
    manifest = bundle.manifest
    if manifest is None:
        return
    if configured is not None:
        changed = {
            key: (manifest.model.get(key), configured.get(key))
            for key in sorted(configured.keys() | manifest.model.keys())
            if configured.get(key) != manifest.model.get(key)
        }
        texts = [
            f"{key} is {_short(found)} in the bundle, {_short(wanted)} in the configuration"
            for key, (found, wanted) in changed.items()
        ]
        yield _check(
            "model settings",
            "; ".join(texts) and f"exported with other settings: {'; '.join(texts)}; export again",
            "as configured",
            {"keys": list(changed)},
        )
    recorded = manifest.provenance.checkpoint
    if checkpoint is not None and recorded is not None:
        same = SourceRecord.of(checkpoint).sha256 == recorded.sha256
        problem = f"exported from another checkpoint ({recorded.name}) than {checkpoint}; export again"
        yield _check("checkpoint", "" if same else problem, "exported from the configured one", {})


def _check(what: str, problem: str, fine: str, details: Mapping[str, Any]) -> CheckResult:
    status = Status.FAILED if problem else Status.PASSED
    return CheckResult(f"{BUNDLE} / {what}", status, problem or fine, details={"level": BUNDLE, **details})


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def recorded_precision(manifest: Manifest | None) -> Precision:
    """The coarsest precision of a bundle's files, as its manifest says; fp32 where it says nothing."""
    exported = manifest.provenance.export.values() if manifest is not None else ()
    return coarsest(item.get("precision") for item in exported if isinstance(item, dict))
