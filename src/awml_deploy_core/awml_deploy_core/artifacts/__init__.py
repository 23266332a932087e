"""Model bundles on disk, their provenance, and where each backend's artifact is."""

from awml_deploy_core.artifacts.bundle import ModelBundle
from awml_deploy_core.artifacts.manager import Artifact, ArtifactManager
from awml_deploy_core.artifacts.manifest import (
    MANIFEST_NAME,
    FileRecord,
    Manifest,
    Provenance,
    SourceRecord,
)
from awml_deploy_core.artifacts.writer import BundleWriter

__all__ = [
    "MANIFEST_NAME",
    "Artifact",
    "ArtifactManager",
    "BundleWriter",
    "FileRecord",
    "Manifest",
    "ModelBundle",
    "Provenance",
    "SourceRecord",
]
