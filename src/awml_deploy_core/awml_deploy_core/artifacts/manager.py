"""Where the artifact of a backend is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from awml_deploy_core.artifacts.writer import recover_bundle
from awml_deploy_core.errors import ArtifactError

Origin = Literal["registered", "configured", "derived"]

PYTORCH = "pytorch"
ONNXRUNTIME = "onnxruntime"


@dataclass(frozen=True)
class Artifact:
    """A file or folder a backend loads from, and how it was found."""

    backend: str
    path: Path
    origin: Origin


class ArtifactManager:
    """Resolves the artifact of a backend: registered, then configured, then derived.

    The first of these that is known decides: a configured path that does not exist is an error,
    never a reason to take another artifact than the one asked for. PyTorch derives its artifact
    from the checkpoint; every other backend from the bundle that the export writes.

    Args:
        configured: Paths a user configured, by backend.
        checkpoint: The configured checkpoint.
        bundle: The folder the export writes.
    """

    def __init__(
        self,
        *,
        configured: Mapping[str, Path] | None = None,
        checkpoint: Path | None = None,
        bundle: Path | None = None,
    ) -> None:
        self._registered: dict[str, Artifact] = {}
        self._configured = dict(configured or {})
        self._checkpoint = checkpoint
        self._bundle = bundle

    def register_artifact(self, backend: str, path: Path) -> Artifact:
        """Record what an earlier step of this run made; a later registration replaces it."""
        artifact = Artifact(backend, path, "registered")
        self._registered[backend] = artifact
        return artifact

    def get_artifact(self, backend: str) -> Artifact | None:
        """What was registered for a backend."""
        return self._registered.get(backend)

    def resolve_pytorch_artifact(self) -> Artifact:
        """The checkpoint file.

        Raises:
            ArtifactError: It is not known or does not exist.
        """
        return self._resolve(PYTORCH, "checkpoint file", "checkpoint_path", self._checkpoint, folder=False)

    def resolve_onnx_artifact(self, backend: str = ONNXRUNTIME) -> Artifact:
        """The bundle folder a backend reads its ONNX files from.

        Raises:
            ArtifactError: It is not known or does not exist.
        """
        return self._resolve(backend, "bundle folder", "export path", self._bundle, folder=True)

    def resolve_artifact(self, backend: str) -> Artifact:
        """The artifact of any backend.

        Raises:
            ArtifactError: It is not known or does not exist; the error says where it was looked
                for.
        """
        if backend == PYTORCH:
            return self.resolve_pytorch_artifact()
        return self.resolve_onnx_artifact(backend)

    def _resolve(
        self, backend: str, what: str, derived_from: str, derived: Path | None, *, folder: bool
    ) -> Artifact:
        registered = self._registered.get(backend)
        candidates: tuple[tuple[Origin, str, Path | None], ...] = (
            ("registered", "registered", registered.path if registered else None),
            ("configured", "configured path", self._configured.get(backend)),
            ("derived", derived_from, derived),
        )
        looked = []
        for origin, label, path in candidates:
            if path is None:
                looked.append(f"{label}: none")
                continue
            if (path.is_dir() or recover_bundle(path)) if folder else path.is_file():
                return Artifact(backend, path, origin)
            kind = f"is a {'file' if folder else 'folder'}" if path.exists() else "does not exist"
            looked.append(f"{label}: {path} {kind}")
            break
        raise ArtifactError(
            f"artifact of backend {backend}",
            "cannot be found",
            expected=f"a {what}",
            problems=looked,
            hint="Set checkpoint_path." if backend == PYTORCH else "Export the model first.",
        )
