"""CenterPoint from point clouds to detections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from typing_extensions import Self

from awml_deploy_core.components import DynamicAxis
from awml_deploy_core.detections import Detections
from awml_deploy_core.pipeline import Candidates, InferencePipeline, StageClock, TensorTap, require_sessions
from awml_deploy_core.points import PointCloudFrame, PointColumns, Sweep
from awml_deploy_core.runtime.session import Session, Tensors
from awml_extractors.centerpoint.candidates import find_candidates
from awml_extractors.centerpoint.class_remapper import ClassRemapper
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.decode import Decoded, HeadMaps, decode_autoware
from awml_extractors.centerpoint.decode_mmdet3d import decode_mmdet3d
from awml_extractors.centerpoint.nms import suppress
from awml_extractors.centerpoint.options import PostprocessOptions
from awml_extractors.centerpoint.pillars import Voxelizer
from awml_extractors.centerpoint.scatter import PillarScatter
from awml_extractors.centerpoint.specs import BACKBONE_NECK_HEAD, VOXEL_ENCODER

STAGES = ("voxelize", "encode", "scatter", "backbone_head", "decode_boxes", "nms")


class CenterPointPipeline(InferencePipeline[PointCloudFrame, Detections]):
    """Pillars, voxel encoder, scatter, backbone and head, decoding and NMS on the CPU.

    The last step, timed with NMS, is the class remapper where the options apply one. The class
    names of the detections follow from the options alone: they are those of the model and those
    that the remapper can give.

    Every frame reports the stages :data:`STAGES` that it ran and these counts: those of
    :class:`~awml_extractors.centerpoint.pillars.PillarCounts`, ``boxes_decoded`` (before NMS),
    ``boxes_non_finite`` (dropped because the head gave NaN or infinity) and ``boxes``. A frame
    without a point in range gives no boxes and runs none of the stages after the first.

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
        min_rows, max_voxels = _pillar_limits(config, self._encoder)
        self._voxelizer = Voxelizer(config, max_voxels=max_voxels, min_rows=min_rows)
        self._scatter = PillarScatter(config)

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
            ParameterError: Any option is unknown or invalid; all problems are listed.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._set_options(self._options.merged(options, self._config.class_names))
        return other

    def _set_options(self, options: PostprocessOptions) -> None:
        self._options = options
        self._remapper = ClassRemapper(self._config.class_names, options.remap_rules)

    def warm_up(self) -> None:
        """Compile all kernels and run the sessions once at the size they are optimised for."""
        points = _spread_points(self._config, self._encoder)
        self.infer(PointCloudFrame.single(points))
        # Only a past sweep is moved and put behind another.
        self._voxelizer.voxelize(PointCloudFrame((Sweep(points), Sweep(points, 0.1, np.eye(4)))))
        boxes = np.array([[0.0, 0.0, 1.0], [0.1, 0.0, 1.0]], np.float32)
        detections = Detections(
            boxes,
            np.ones((2, 3), np.float32),
            np.zeros(2, np.float32),
            np.zeros((2, 2), np.float32),
            np.ones(2, np.float32),
            np.zeros(2, np.int32),
            self._config.class_names,
        )
        suppress(detections, self._options)

    def _infer(
        self, sample: PointCloudFrame, clock: StageClock, tap: TensorTap | None
    ) -> tuple[Detections, Mapping[str, int]]:
        with clock.stage("voxelize"):
            pillars = self._voxelizer.voxelize(sample)
        counts = pillars.counts.as_dict()
        if not counts["pillars"]:
            empty = Detections.empty(self._remapper.class_names, has_velocity=self._config.has_twist)
            return empty, {**counts, "boxes_decoded": 0, "boxes_non_finite": 0, "boxes": 0}
        with clock.stage("encode"):
            (name,) = (tensor.name for tensor in self._encoder.spec.inputs)
            outputs = self._run_session(self._encoder, {name: pillars.features}, tap)
            (features,) = (outputs[tensor.name] for tensor in self._encoder.spec.outputs)
        with clock.stage("scatter"):
            canvas = self._scatter.scatter(features, pillars.coordinates)
        with clock.stage("backbone_head"):
            (name,) = (tensor.name for tensor in self._head.spec.inputs)
            outputs = self._run_session(self._head, {name: canvas}, tap)
        with clock.stage("decode_boxes"):
            # The order of the outputs, not their names, is the exchange format.
            values = [outputs[tensor.name] for tensor in self._head.spec.outputs]
            named = dict(zip(self._config.head_outputs, values, strict=False))
            decoded = self._decode(HeadMaps.from_outputs(self._config, named))
        with clock.stage("nms"):
            detections = self._remapper.remap(suppress(decoded.detections, self._options))
        return detections, {
            **counts,
            "boxes_decoded": len(decoded.detections),
            "boxes_non_finite": decoded.non_finite,
            "boxes": len(detections),
        }

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

    def _decode(self, maps: HeadMaps) -> Decoded:
        decode = decode_mmdet3d if self._options.decoder == "mmdet3d" else decode_autoware
        return decode(maps, self._config, self._options)


def _pillar_limits(config: CenterPointConfig, encoder: Session) -> tuple[int, int]:
    """Least and greatest number of pillars that the encoder takes."""
    axis = encoder.spec.inputs[0].shape[0]
    if isinstance(axis, DynamicAxis):
        return axis.min, min(axis.max, config.voxel_capacity)
    return axis, min(axis, config.voxel_capacity)


def _spread_points(config: CenterPointConfig, encoder: Session) -> PointColumns:
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
