"""Foreign bundles of models that are one graph."""

from __future__ import annotations

from pathlib import Path

from awml_deploy_core.errors import ArtifactError


def find_onnx(folder: Path) -> str:
    """Name of the only ONNX file of a folder.

    Raises:
        ArtifactError: There is none, or there are several.
    """
    names = sorted(path.name for path in folder.glob("*.onnx"))
    if len(names) != 1:
        raise ArtifactError(
            folder,
            "does not have exactly one ONNX file",
            got=", ".join(names) or "none",
            expected="the file of the model",
            hint="Move the others away." if names else None,
        )
    return names[0]
