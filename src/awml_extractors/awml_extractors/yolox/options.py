"""Run-time options of YOLOX's post-processing."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from awml_extractors.pipeline_choice import PipelineChoice
from awml_extractors.run_options import RunOptions

Score = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class YoloxOptions(RunOptions):
    """Thresholds of decoding and of non-maximum suppression."""

    subject: ClassVar[str] = "post-processing options"

    decoder: Literal["mmdet", "autoware"] = "mmdet"
    """`mmdet`: the best class of every cell, suppression within a class, as AWML evaluates;
    `autoware`: every class of every cell above the threshold, suppression regardless of class with
    corners cut to whole pixels of the network's input, as Autoware's tensorrt_yolox does."""
    score_threshold: Score = 0.01
    """Objectness times class score of a box has to exceed this. Autoware's default is 0.35."""
    nms_threshold: Score = 0.65
    """Boxes that overlap a better one by more than this IoU are dropped. Autoware's default is 0.7."""
    max_detections: Annotated[int, Field(gt=0, le=100000)] = 300
    """Most boxes of an image, the best ones."""
    pipeline: PipelineChoice = "auto"
    """Where decoding and suppression are: on the GPU (`device`), on the CPU (`host`), or where the network
    is (`auto`).

    It takes effect when the model is opened. Boxes are the same.
    """
