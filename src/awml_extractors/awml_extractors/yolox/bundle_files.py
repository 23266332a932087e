"""The metadata files of Autoware's ``autoware_tensorrt_yolox``.

``ml_package_yolox.param.yaml`` is a ROS parameter file and ``label.txt`` the list of classes that
Autoware's node reads; ``deploy_metadata.yaml`` carries what they cannot express, for tools.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from awml_deploy_core.errors import ArtifactError
from awml_deploy_core.files import write_text
from awml_extractors.bundle_yaml import write_yaml
from awml_extractors.single_onnx import DEPLOY_METADATA, parse_bundle, read_package
from awml_extractors.yolox.config import YoloxConfig, parse_config

ML_PACKAGE = "ml_package_yolox.param.yaml"
LABELS = "label.txt"

_NETWORK_KEYS = (
    "input_size",
    "batch_size",
    "arch",
    "deepen_factor",
    "widen_factor",
    "neck_blocks",
    "activation",
)
_AUTOWARE_SCORE, _AUTOWARE_IOU = 0.35, 0.7
_LOG = logging.getLogger(__name__)


class _MlPackage(BaseModel):
    """What this suite reads of the file; Autoware's node has further parameters."""

    model_config = ConfigDict(strict=True, frozen=True)

    score_threshold: float = _AUTOWARE_SCORE
    nms_threshold: float = _AUTOWARE_IOU


def write_bundle_files(config: YoloxConfig, folder: Path) -> None:
    """Write the three files, each whole or not at all.

    Raises:
        ArtifactError: A file cannot be written.
    """
    if not isinstance(config.batch_size, int):
        _LOG.warning(
            "Autoware's own node cannot run this model as it is: it takes the batch from the graph, "
            "which has none; set model.batch_size to one number"
        )
    options = config.options
    of_vehicle = options.decoder == "autoware"
    package = {
        "precision": "fp16",
        "calibration_algorithm": "Entropy",
        "quantize_first_layer": False,
        "quantize_last_layer": False,
        "profile_per_layer": False,
        "clip_value": 6.0,
        # Thresholds of an evaluation would flood the vehicle with boxes.
        "score_threshold": options.score_threshold if of_vehicle else _AUTOWARE_SCORE,
        "nms_threshold": options.nms_threshold if of_vehicle else _AUTOWARE_IOU,
    }
    write_yaml(folder / ML_PACKAGE, {"/**": {"ros__parameters": package}})
    write_text(folder / LABELS, "".join(f"{name}\n" for name in config.class_names))
    values = config.model_dump(mode="json")
    write_yaml(folder / DEPLOY_METADATA, {key: values[key] for key in _NETWORK_KEYS})


def read_bundle(folder: Path) -> YoloxConfig | None:
    """The configuration of a foreign bundle, or None if ``folder`` is not one of this family.

    The vehicle's own post-processing is the default of such a bundle. Without
    ``deploy_metadata.yaml``, the network is taken as AWML's YOLOX_opt-S with 960 x 960 pixels.

    Raises:
        ArtifactError: The metadata is unreadable or invalid, or there is not one ONNX file.
    """
    package = read_package(folder / ML_PACKAGE, _MlPackage)
    if package is None:
        return None
    content = {
        "class_names": _read_labels(folder / LABELS),
        "options": {"decoder": "autoware", **package.model_dump()},
    }
    return parse_bundle(folder, content, _NETWORK_KEYS, parse_config)


def _read_labels(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(path, "cannot be read", got=error, expected="one class a line") from None
    return [line.strip() for line in lines if line.strip()]
