"""What every YOLOX pipeline has, wherever its frame is: session, options and the boxes of an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from typing_extensions import Self

from awml_deploy_core.detections2d import Detections2D
from awml_deploy_core.images import Image
from awml_deploy_core.runtime.session import Session
from awml_extractors.pipeline_choice import check_choice_stays
from awml_extractors.single_pipeline import SinglePipeline
from awml_extractors.yolox.config import YoloxConfig
from awml_extractors.yolox.decode import Candidates
from awml_extractors.yolox.letterbox import Letterbox
from awml_extractors.yolox.options import YoloxOptions
from awml_extractors.yolox.selection import in_image
from awml_extractors.yolox.specs import DETECTOR

STAGES = ("letterbox", "model", "decode", "nms")


class YoloxPipelineBase(SinglePipeline[Image, Detections2D, YoloxOptions]):
    """Session and options of a YOLOX pipeline; a subclass runs the frame.

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

    def with_options(self, options: Mapping[str, Any]) -> Self:
        """This pipeline with some options changed; session and work buffers are shared.

        Use one of the two at a time, and close one of them.

        Raises:
            ParameterError: Any option is unknown or invalid (all problems are listed), or ``pipeline``
                is another one.
        """
        other = super().with_options(options)
        check_choice_stays(self._options.pipeline, other.options.pipeline)
        return other

    def warm_up(self) -> None:
        """Run one frame."""
        self.infer(Image(np.zeros((*self._config.input_size, 3), np.uint8)))

    def _finished(
        self, kept: Candidates, decoded: int, letterbox: Letterbox
    ) -> tuple[Detections2D, Mapping[str, int]]:
        """Detections and counts of a frame.

        Args:
            kept: What suppression left.
            decoded: Boxes before it.
            letterbox: How the image lies in the network's input.
        """
        detections = in_image(kept, letterbox, self._options, self._config.class_names)
        return detections, {
            "boxes_decoded": decoded,
            "boxes_non_finite": kept.num_non_finite,
            "boxes": len(detections),
        }
