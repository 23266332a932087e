"""Which engine of a bundle a session takes."""

from __future__ import annotations

from pathlib import Path

from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.files import sha256_file
from awml_deploy_core.runtime.trt.cache import Broken, EngineCache, EngineRecord
from awml_deploy_core.runtime.trt.key import Environment

_BUILD = "Build it: awml-deploy build BUNDLE."


def select_engine(
    cache: EngineCache,
    component: str,
    onnx_path: Path,
    here: Environment,
    precision: str | None = None,
) -> EngineRecord:
    """The engine of a component that was built from this ONNX file and runs in this environment.

    Args:
        cache: The bundle's engines.
        component: Name of the component.
        onnx_path: Its ONNX file in the bundle.
        here: Library and GPU.
        precision: Which one, where there are several; None takes the only one.

    Raises:
        ArtifactError: None fits, each with its reasons, or several do.
    """
    digest = sha256_file(onnx_path)
    fitting, reasons = [], []
    for entry in cache.entries():
        if isinstance(entry, Broken):
            reasons.append(f"{entry.path}: {entry.problem}")
            continue
        if entry.key.component != component:
            continue
        wrong = entry.key.target.misfits(here)
        if entry.key.onnx_sha256 != digest:
            wrong = [f"stale: built from another {onnx_path.name}", *wrong]
        if precision is not None and entry.key.precision != precision:
            wrong = [f"precision {entry.key.precision}, wanted {precision}", *wrong]
        if not wrong and (damage := cache.damage(entry)):
            wrong = [damage]
        if wrong:
            reasons.append(f"{entry.path}: {'; '.join(wrong)}")
        else:
            fitting.append(entry)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ArtifactError(
            cache.folder,
            f"has several engines of component {component} that fit",
            problems=[entry.path for entry in fitting],
            hint="Choose one by precision, or build the wanted one again, which removes what it replaces.",
        )
    raise ArtifactError(
        cache.folder,
        f"has no engine of component {component} for {here}",
        problems=reasons,
        hint=_BUILD,
    )
