"""Opens the folder of one deployable model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awml_deploy_core.artifacts.manifest import MANIFEST_NAME, Manifest
from awml_deploy_core.artifacts.onnx_metadata import read_metadata
from awml_deploy_core.artifacts.writer import recover_bundle
from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.errors import ArtifactError, ConfigError
from awml_deploy_core.family import ChecksMetadata, ModelFamily, available_families, load_family
from awml_deploy_core.files import io_errors
from awml_deploy_core.runtime.session import SessionSource

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class ModelBundle:
    """A bundle whose metadata was read and whose files were found."""

    folder: Path
    family: ModelFamily[Any]
    config: Any
    """The family's configuration."""
    specs: tuple[ComponentSpec, ...]
    """Components in execution order."""
    manifest: Manifest | None
    """None for a foreign bundle: one this suite did not write."""

    @classmethod
    def open(cls, folder: Path, *, verify: bool = True) -> ModelBundle:
        """Open a bundle; neither torch nor onnx is imported.

        A folder without a manifest opens as a foreign bundle if an installed family recognises
        it. Files the manifest does not name are allowed.

        Args:
            folder: The bundle.
            verify: Whether to compare the content of every file with the manifest; without,
                presence and sizes only.

        Raises:
            ArtifactError: The folder is missing or no bundle, its metadata is invalid, files are
                missing or changed, or the ONNX files say that they are of another model or
                convention; every mismatch is listed.
            ConfigError: The manifest names a family that is not installed.
        """
        with io_errors(folder, "bundle folder cannot be read"):
            if not folder.is_dir() and not recover_bundle(folder):
                raise ArtifactError(folder, "bundle folder is missing", hint="Export the model first.")
            is_own = (folder / MANIFEST_NAME).exists()
        return cls._open_own(folder, verify) if is_own else cls._open_foreign(folder)

    @classmethod
    def _open_own(cls, folder: Path, verify: bool) -> ModelBundle:
        manifest = Manifest.read(folder)
        if problems := manifest.file_problems(folder, hashes=verify):
            raise ArtifactError(
                folder,
                "its files do not match its manifest",
                problems=problems,
                hint="Export the bundle again or restore the files.",
            )
        family = load_family(manifest.family)
        try:
            config = family.parse_config(manifest.model)
        except ConfigError as error:
            raise ArtifactError(
                folder / MANIFEST_NAME,
                f"its model configuration is not one of family {manifest.family}",
                problems=error.problems or (str(error),),
            ) from error
        if problems := _component_problems(manifest.components, family.component_specs(config)):
            raise ArtifactError(
                folder / MANIFEST_NAME,
                "its components are not those of its model",
                problems=problems,
                hint="Export the bundle again.",
            )
        _check_metadata(folder, family, config, manifest.components)
        return cls(folder, family, config, manifest.components, manifest)

    @classmethod
    def _open_foreign(cls, folder: Path) -> ModelBundle:
        names = available_families()
        for name in names:
            family = load_family(name)
            config = family.read_bundle(folder)
            if config is None:
                continue
            specs = family.component_specs(config)
            missing = [spec.onnx_file for spec in specs if not (folder / spec.onnx_file).is_file()]
            if missing:
                raise ArtifactError(
                    folder,
                    f"is a {name} bundle that lacks files",
                    problems=[f"{file} is missing" for file in missing],
                )
            _check_metadata(folder, family, config, specs)
            return cls(folder, family, config, specs, None)
        raise ArtifactError(
            folder,
            "is not a model bundle",
            expected=f"{MANIFEST_NAME}, or the files of a family ({', '.join(names) or 'none installed'})",
        )

    @property
    def is_foreign(self) -> bool:
        """Whether the bundle has no manifest, so nothing vouches for its files."""
        return self.manifest is None

    @property
    def extra_files(self) -> tuple[str, ...]:
        """Files that belong to no record, relative and sorted; empty for a foreign bundle."""
        if self.manifest is None:
            return ()
        known = {record.path for record in self.manifest.files} | {MANIFEST_NAME}
        for engine in self.manifest.engines:
            known |= {engine.path, f"{engine.path}.json", engine.layers or engine.path}
        found = {
            path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()
        }
        return tuple(sorted(found - known))

    def onnx_path(self, component: str) -> Path:
        """The ONNX file of a component.

        Raises:
            ArtifactError: The bundle has no such component.
        """
        for spec in self.specs:
            if spec.name == component:
                return self.folder / spec.onnx_file
        raise ArtifactError(
            self.folder,
            "has no such component",
            got=component,
            expected=" or ".join(spec.name for spec in self.specs),
        )

    def sources(
        self, modules: Mapping[str, Callable[[], torch.nn.Module]] | None = None
    ) -> tuple[SessionSource, ...]:
        """What a backend needs to open each component, in execution order.

        Args:
            modules: Loaders of the components' modules by name, for the pytorch backend.
        """
        loaders = modules or {}
        return tuple(
            SessionSource(spec, self.folder / spec.onnx_file, loaders.get(spec.name), self.folder)
            for spec in self.specs
        )


def _check_metadata(
    folder: Path, family: ModelFamily[Any], config: Any, specs: tuple[ComponentSpec, ...]
) -> None:
    """Compare what the ONNX files say about themselves with the configuration, where a family can."""
    if not isinstance(family, ChecksMetadata):
        return
    problems = [
        f"{spec.onnx_file}: {problem}"
        for spec in specs
        for problem in family.metadata_problems(config, spec.name, read_metadata(folder / spec.onnx_file))
    ]
    if problems:
        raise ArtifactError(
            folder,
            "its ONNX files contradict its configuration",
            problems=problems,
            hint="Export the bundle again; do not edit its metadata or exchange its files.",
        )


def _component_problems(
    recorded: tuple[ComponentSpec, ...], expected: tuple[ComponentSpec, ...]
) -> list[str]:
    """How recorded components contradict those that the model's configuration has.

    Ranges of dynamic axes are left out: they are the exporter's choice at that time.
    """
    names = [[spec.name for spec in specs] for specs in (recorded, expected)]
    if names[0] != names[1]:
        return [f"components {', '.join(names[0]) or 'none'}, expected {', '.join(names[1])}"]
    problems = []
    for spec, wanted in zip(recorded, expected, strict=True):
        for side in ("inputs", "outputs"):
            found, tensors = (
                [(t.name, t.dtype, tuple(a if isinstance(a, int) else "*" for a in t.shape)) for t in ts]
                for ts in (getattr(spec, side), getattr(wanted, side))
            )
            if found != tensors:
                texts = (", ".join(map(str, getattr(s, side))) for s in (spec, wanted))
                problems.append(f"{spec.name}: {side} {next(texts)}; expected {next(texts)}")
    return problems
