"""Run-time options of YOLOX's post-processing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from awml_deploy_core.errors import ParameterError
from awml_deploy_core.validation import problem_clauses

Score = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class YoloxOptions(BaseModel):
    """Thresholds of decoding and of non-maximum suppression."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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

    def merged(self, changes: Mapping[str, Any]) -> YoloxOptions:
        """These options with some changed.

        Raises:
            ParameterError: Any option is unknown or invalid; all problems are listed.
        """
        try:
            return YoloxOptions.model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            problems = problem_clauses(error, YoloxOptions)
            raise ParameterError("post-processing options", "are invalid", problems=problems) from None
