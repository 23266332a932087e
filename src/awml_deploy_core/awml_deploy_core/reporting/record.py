"""Base of all records of the result model."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

StatusText = Literal["passed", "failed", "skipped", "error"]


class Record(BaseModel):
    """Base of all records: immutable, with NaN and infinity as strings in JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
