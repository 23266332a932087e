"""CenterPoint from point clouds to detections on the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from awml_deploy_core.detections import Detections
from awml_deploy_core.pipeline import StageClock, TensorTap
from awml_deploy_core.points import PointCloudFrame, Sweep
from awml_deploy_core.runtime.session import Session
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.decode import Decoded, HeadMaps, decode_autoware
from awml_extractors.centerpoint.decode_mmdet3d import decode_mmdet3d
from awml_extractors.centerpoint.nms import suppress
from awml_extractors.centerpoint.pillars import Voxelizer
from awml_extractors.centerpoint.pipeline_base import (
    STAGES,
    CenterPointPipelineBase,
    pillar_limits,
    spread_points,
)
from awml_extractors.centerpoint.scatter import PillarScatter

__all__ = ["STAGES", "CenterPointPipeline"]


class CenterPointPipeline(CenterPointPipelineBase):
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
        super().__init__(config, sessions, options)
        min_rows, max_voxels = pillar_limits(config, self._encoder)
        self._voxelizer = Voxelizer(config, max_voxels=max_voxels, min_rows=min_rows)
        self._scatter = PillarScatter(config)

    def warm_up(self) -> None:
        """Compile all kernels and run the sessions once at the size they are optimised for."""
        points = spread_points(self._config, self._encoder)
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
            return self._empty(), {**counts, "boxes_decoded": 0, "boxes_non_finite": 0, "boxes": 0}
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

    def _decode(self, maps: HeadMaps) -> Decoded:
        decode = decode_mmdet3d if self._options.decoder == "mmdet3d" else decode_autoware
        return decode(maps, self._config, self._options)
