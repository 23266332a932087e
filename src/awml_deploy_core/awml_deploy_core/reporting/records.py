"""What the records of every command are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

StatusText = Literal["passed", "failed", "skipped", "error"]


class Record(BaseModel):
    """Base of all records: immutable, with NaN and infinity as strings in JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class CheckRecord(Record):
    """One check."""

    name: str
    status: StatusText
    required: bool
    message: str
    details: Mapping[str, Any]
