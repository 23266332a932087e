"""YOLOX from camera images to 2D detections on the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from awml_deploy_core.detections2d import Detections2D
from awml_deploy_core.images import Image
from awml_deploy_core.pipeline import StageClock, TensorTap
from awml_deploy_core.runtime.session import Session
from awml_extractors.yolox.config import YoloxConfig
from awml_extractors.yolox.decode import Decoder
from awml_extractors.yolox.letterbox import Letterbox
from awml_extractors.yolox.pipeline_base import STAGES, YoloxPipelineBase
from awml_extractors.yolox.selection import select

__all__ = ["STAGES", "YoloxPipeline"]


class YoloxPipeline(YoloxPipelineBase):
    """Letterboxing, network, decoding and suppression on the CPU."""

    def __init__(
        self, config: YoloxConfig, sessions: Mapping[str, Session], options: Mapping[str, Any]
    ) -> None:
        super().__init__(config, sessions, options)
        self._decoder = Decoder(config)

    def _infer(
        self, sample: Image, clock: StageClock, tap: TensorTap | None
    ) -> tuple[Detections2D, Mapping[str, int]]:
        options = self._options
        with clock.stage("letterbox"):
            letterbox = Letterbox.of(sample.width, sample.height, self._config.input_size)
            tensor = self._batch(letterbox.make_input(sample, self._config.input_size))
        with clock.stage("model"):
            output = self._run(tensor, tap)
        with clock.stage("decode"):
            candidates = self._decoder.decode(
                output[0], options.score_threshold, every_class=options.decoder == "autoware"
            )
        with clock.stage("nms"):
            return self._finished(select(candidates, options), len(candidates), letterbox)
