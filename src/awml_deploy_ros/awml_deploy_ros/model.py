"""Opens the model bundle that the node runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.files import sha256_file
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_ros.node.model_settings import ModelSettings

if TYPE_CHECKING:
    from awml_deploy_core.artifacts.bundle import ModelBundle


@dataclass(frozen=True)
class ModelIdentity:
    """What made the results."""

    model_name: str
    bundle_hash: str
    """SHA-256, hexadecimal."""
    backend: str
    device: str


@dataclass(frozen=True, eq=False)
class OpenModel:
    """A pipeline as its bundle defines it, and its identity."""

    pipeline: InferencePipeline[Any, Any]
    identity: ModelIdentity
    bundle_path: str = ""
    """Empty if it is of no bundle."""
    manifest: str = ""
    """``manifest.json`` of the bundle; empty for a foreign one."""
    task: str = "detection3d"
    """What the model does, by the name that its family gives."""
    engine_keys: tuple[str, ...] = ()
    """Of the engines in use, as ``component: key``."""
    class_names: tuple[str, ...] = ()
    """As the model is configured; empty if its configuration names none."""

    def require_task(self, task: str, model_path: str) -> None:
        """Raise an ArtifactError if the model does something else than a node is for."""
        if self.task != task:
            raise ArtifactError(
                model_path,
                "is of a model for another node",
                got=self.task,
                expected=task,
                hint="Start the node of its family, or name another bundle in model_path.",
            )


ModelOpener = Callable[[ModelSettings], OpenModel]


def open_bundle(settings: ModelSettings) -> OpenModel:
    """Open the bundle, backend and device that the parameters name.

    Raises:
        AwmlDeployError: The bundle is missing or corrupt, or the backend cannot run here.
    """
    # Importing the runner takes a while, and a node that is never configured does not need it.
    from awml_deploy_core.artifacts.bundle import ModelBundle
    from awml_deploy_core.runner import open_pipeline

    path = Path(settings.model_path).expanduser()
    bundle = ModelBundle.open(path)
    pipeline = open_pipeline(
        bundle,
        settings.backend,
        settings.device,
        num_threads=settings.num_threads,
        checkpoint=settings.checkpoint_path or None,
    )
    manifest = bundle.manifest
    return OpenModel(
        pipeline,
        _identity(bundle, settings),
        str(path.resolve()),
        "" if manifest is None else manifest.model_dump_json(indent=2),
        bundle.family.task,
        _engine_keys(pipeline),
        tuple(bundle.family.dump_config(bundle.config).get("class_names", ())),
    )


def _engine_keys(pipeline: InferencePipeline[Any, Any]) -> tuple[str, ...]:
    """Keys of the engines that the sessions run; a session without one says nothing."""
    return tuple(
        f"{session.spec.name}: {key}"
        for session in pipeline.sessions
        if (key := getattr(session, "engine_key", None)) is not None
    )


def bundle_identity(settings: ModelSettings) -> ModelIdentity:
    """What :func:`open_bundle` would tell of the bundle, without opening its pipeline.

    Raises:
        ArtifactError: The bundle is missing or corrupt.
    """
    from awml_deploy_core.artifacts.bundle import ModelBundle

    return _identity(ModelBundle.open(Path(settings.model_path).expanduser()), settings)


def _identity(bundle: ModelBundle, settings: ModelSettings) -> ModelIdentity:
    name = f"{bundle.family.name}/{bundle.folder.resolve().name}"
    return ModelIdentity(name, bundle_hash(bundle), settings.backend, settings.device)


def bundle_hash(bundle: ModelBundle) -> str:
    """SHA-256 over the names and SHA-256 of a bundle's files, hexadecimal.

    A foreign bundle has no manifest to list its files: its components and YAML files count.

    Raises:
        ArtifactError: A file cannot be read.
    """
    if bundle.manifest is not None:
        files = {record.path: record.sha256 for record in bundle.manifest.files}
    else:
        paths = {bundle.onnx_path(spec.name) for spec in bundle.specs} | set(bundle.folder.glob("*.yaml"))
        files = {path.relative_to(bundle.folder).as_posix(): sha256_file(path) for path in paths}
    digest = hashlib.sha256()
    for name, sha256 in sorted(files.items()):
        digest.update(f"{name} {sha256}\n".encode())
    return digest.hexdigest()


def warm_up(
    pipeline: InferencePipeline[Any, Any], frames: int, before_each: Callable[[], None] = lambda: None
) -> None:
    """Run the pipeline so that the first input is not slow.

    Args:
        pipeline: What is run.
        frames: How often.
        before_each: Called before each run and at the end; it may raise.

    Raises:
        AwmlDeployError: The pipeline failed.
    """
    for _ in range(frames):
        before_each()
        pipeline.warm_up()
    before_each()


def with_options(
    pipeline: InferencePipeline[Any, Any], options: Mapping[str, Any]
) -> InferencePipeline[Any, Any]:
    """The pipeline with run-time options set, or itself where none is."""
    return pipeline.with_options(options) if options else pipeline
