"""The metadata file of Autoware's ``autoware_calibration_status_classifier``.

``ml_package_calibration_status_classifier.param.yaml`` is a ROS parameter file that Autoware's node
reads; ``deploy_metadata.yaml`` carries what it cannot express, for tools.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from awml_extractors.axes import AxisRange
from awml_extractors.bundle_yaml import write_yaml
from awml_extractors.calibration_status.config import CalibrationStatusConfig, parse_config
from awml_extractors.single_onnx import DEPLOY_METADATA, parse_bundle, read_package

ML_PACKAGE = "ml_package_calibration_status_classifier.param.yaml"

_LOG = logging.getLogger(__name__)


class _MlPackage(BaseModel):
    """What this suite reads of the file; Autoware's node has further parameters."""

    model_config = ConfigDict(strict=True, frozen=True)

    max_depth: float
    dilation_size: int
    height: list[int]
    width: list[int]


def write_bundle_files(config: CalibrationStatusConfig, folder: Path) -> None:
    """Write both files, each whole or not at all.

    Raises:
        ArtifactError: A file cannot be written.
    """
    if config.batch_size != 1:
        _LOG.info("Autoware's own node runs one image at a time; this graph has a batch of its own choice")
    package = {
        "max_depth": config.max_depth,
        "dilation_size": config.dilation_size,
        "height": _range(config.height),
        "width": _range(config.width),
        # Autoware's mask of the vehicle's own body; zeros turn it off, as training knows none.
        "ego_box": [0.0] * 6,
    }
    write_yaml(folder / ML_PACKAGE, {"/**": {"ros__parameters": package}})
    metadata = {
        "class_names": list(config.class_names),
        "channels": ["blue", "green", "red", "depth", "intensity"],
        "batch_size": config.batch_size if isinstance(config.batch_size, int) else list(config.batch_size),
    }
    write_yaml(folder / DEPLOY_METADATA, metadata)


def read_bundle(folder: Path) -> CalibrationStatusConfig | None:
    """The configuration of a foreign bundle, or None if ``folder`` is not one of this family.

    Raises:
        ArtifactError: The metadata is unreadable or invalid, or there is not one ONNX file.
    """
    package = read_package(folder / ML_PACKAGE, _MlPackage)
    if package is None:
        return None
    return parse_bundle(folder, package.model_dump(), ("class_names", "batch_size"), parse_config)


def _range(axis: AxisRange) -> list[int]:
    return [axis] * 3 if isinstance(axis, int) else list(axis)
