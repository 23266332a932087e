"""YOLOX from camera images to 2D detections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections2d import Detections2D
from awml_deploy_core.images import Image
from awml_deploy_core.pipeline import StageClock, TensorTap
from awml_deploy_core.runtime.session import Session
from awml_extractors.single_pipeline import SinglePipeline
from awml_extractors.yolox.config import YoloxConfig
from awml_extractors.yolox.decode import Candidates, Decoder
from awml_extractors.yolox.letterbox import Letterbox
from awml_extractors.yolox.nms import suppress, suppress_by_class
from awml_extractors.yolox.options import YoloxOptions
from awml_extractors.yolox.specs import DETECTOR

STAGES = ("letterbox", "model", "decode", "nms")


class YoloxPipeline(SinglePipeline[Image, Detections2D, YoloxOptions]):
    """Letterboxing, network, decoding and suppression on the CPU.

    Every image reports the stages :data:`STAGES` and the counts ``boxes_decoded`` (before NMS),
    ``boxes_non_finite`` (left out because the network gave NaN or infinity) and ``boxes``. Boxes
    without a part inside the image are left out.

    Args:
        config: The variant.
        sessions: Its session, by component name.
        options: Changes to ``config.options``.

    Raises:
        ConfigError: The session is missing.
        ParameterError: An option is unknown or invalid.
    """

    def __init__(
        self, config: YoloxConfig, sessions: Mapping[str, Session], options: Mapping[str, Any]
    ) -> None:
        super().__init__("YOLOX pipeline", DETECTOR, sessions, config.options.merged(options))
        self._config = config
        self._decoder = Decoder(config)

    def warm_up(self) -> None:
        """Run the session once."""
        self.infer(Image(np.zeros((*self._config.input_size, 3), np.uint8)))

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
            detections = self._suppress(candidates, letterbox)
        return detections, {
            "boxes_decoded": len(candidates),
            "boxes_non_finite": candidates.num_non_finite,
            "boxes": len(detections),
        }

    def _suppress(self, candidates: Candidates, letterbox: Letterbox) -> Detections2D:
        options, boxes = self._options, candidates.boxes
        if options.decoder == "autoware":
            # Autoware keeps corner and size as whole numbers, here and in the image.
            boxes = _whole_pixels(boxes)
            kept = suppress(boxes, options.nms_threshold, options.max_detections)
            in_image = _whole_pixels(letterbox.to_image(boxes[kept], margin=1.0))
        else:
            kept = suppress_by_class(
                boxes, candidates.labels, options.nms_threshold, options.max_detections
            )
            in_image = letterbox.to_image(boxes[kept])
        found = Detections2D(
            in_image, candidates.scores[kept], candidates.labels[kept], self._config.class_names
        )
        # What lies in the grey part alone has no area left.
        return found.select(np.flatnonzero((in_image[:, 2:] > in_image[:, :2]).all(axis=1)))


def _whole_pixels(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Boxes whose upper left corner and size are cut to whole numbers."""
    corner = np.trunc(boxes[:, :2])
    return np.concatenate([corner, corner + np.trunc(boxes[:, 2:] - boxes[:, :2])], axis=1)
