"""What every CenterPoint pipeline has, wherever its frame is: sessions, options and class names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from typing_extensions import Self

from awml_deploy_core.components import DynamicAxis
from awml_deploy_core.detections import Detections
from awml_deploy_core.pipeline import Candidates, InferencePipeline, require_sessions
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_core.runtime.session import Session, Tensors
from awml_extractors.centerpoint.candidates import find_candidates
from awml_extractors.centerpoint.class_remapper import ClassRemapper
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.decode import HeadMaps
from awml_extractors.centerpoint.options import PostprocessOptions
from awml_extractors.centerpoint.specs import BACKBONE_NECK_HEAD, VOXEL_ENCODER
from awml_extractors.pipeline_choice import check_choice_stays

STAGES = ("voxelize", "encode", "scatter", "backbone_head", "decode_boxes", "nms")


class CenterPointPipelineBase(InferencePipeline[PointCloudFrame, Detections]):
    """Sessions and options of a CenterPoint pipeline; a subclass runs the frame.

    Args:
        config: The variant.
        sessions: One session a component, by component name.
        options: Changes to ``config.postprocess``.

    Raises:
        ConfigError: A session is missing.
        ParameterError: An option is unknown or invalid, or a threshold names no class.
    """

    def __init__(
        self, config: CenterPointConfig, sessions: Mapping[str, Session], options: Mapping[str, Any]
    ) -> None:
        self._config = config
        self._set_options(config.postprocess.merged(options, config.class_names))
        self._encoder, self._head = require_sessions(
            "CenterPoint pipeline", sessions, VOXEL_ENCODER, BACKBONE_NECK_HEAD
        )

    @property
    def sessions(self) -> tuple[Session, ...]:
        return self._encoder, self._head

    @property
    def options(self) -> PostprocessOptions:
        """The options in force."""
        return self._options

    def option_values(self) -> dict[str, Any]:
        """Options in force, with the score thresholds of every class written out."""
        options = self._options
        scores = {name: options.score_thresholds(name) for name in self._config.class_names}
        return {**options.model_dump(), "min_confidence_scores": scores}

    def with_options(self, options: Mapping[str, Any]) -> Self:
        """This pipeline with some options changed; sessions and work buffers are shared.

        Use one of the two at a time, and close one of them.

        Raises:
            ParameterError: Any option is unknown or invalid (all problems are listed), or ``pipeline``
                is another one.
        """
        changed = self._options.merged(options, self._config.class_names)
        check_choice_stays(self._options.pipeline, changed.pipeline)
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._set_options(changed)
        return other

    def _set_options(self, options: PostprocessOptions) -> None:
        self._options = options
        self._remapper = ClassRemapper(self._config.class_names, options.remap_rules)

    def candidates(
        self, outputs: Mapping[str, Tensors], margins: Mapping[str, Mapping[str, float]]
    ) -> Candidates:
        """What recorded head outputs decode to before suppression, thresholds loosened by the margins.

        Args:
            outputs: Tensors by component; none where no component ran.
            margins: Largest differences of them that rounding makes, likewise.
        """
        recorded = outputs.get(BACKBONE_NECK_HEAD)
        if recorded is None:
            return Candidates(Detections.empty(self._remapper.class_names), np.zeros(0), ())
        names = dict(zip(self._config.head_outputs, self._head.spec.outputs, strict=False))
        found = margins.get(BACKBONE_NECK_HEAD, {})
        return find_candidates(
            HeadMaps.from_outputs(
                self._config, {name: recorded[tensor.name] for name, tensor in names.items()}
            ),
            self._config,
            self._options,
            self._remapper,
            {name: found.get(tensor.name, 0.0) for name, tensor in names.items()},
        )

    def _empty(self) -> Detections:
        """No boxes, of the classes that every frame gives."""
        return Detections.empty(self._remapper.class_names, has_velocity=self._config.has_twist)


def pillar_limits(config: CenterPointConfig, encoder: Session) -> tuple[int, int]:
    """Least and greatest number of pillars that the encoder takes."""
    axis = encoder.spec.inputs[0].shape[0]
    if isinstance(axis, DynamicAxis):
        return axis.min, min(axis.max, config.voxel_capacity)
    return axis, min(axis, config.voxel_capacity)


def spread_points(config: CenterPointConfig, encoder: Session) -> PointColumns:
    """One point in each of as many pillars as the encoder is optimised for."""
    axis = encoder.spec.inputs[0].shape[0]
    nx, ny = config.grid_size
    count = min(axis.opt if isinstance(axis, DynamicAxis) else axis, nx * ny)
    row, column = np.divmod(np.arange(count), nx)
    low, voxel = config.point_cloud_range, config.voxel_size
    return PointColumns(
        ((column + 0.5) * voxel[0] + low[0]).astype(np.float32),
        ((row + 0.5) * voxel[1] + low[1]).astype(np.float32),
        np.full(count, 0.5 * voxel[2] + low[2], np.float32),
        np.zeros(count, np.float32),
    )
