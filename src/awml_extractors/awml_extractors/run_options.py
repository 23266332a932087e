"""Run-time options of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from typing_extensions import Self

from awml_deploy_core.errors import ParameterError
from awml_deploy_core.validation import problem_clauses


class RunOptions(BaseModel):
    """Options that change while a model is open, validated as a whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: ClassVar[str] = "run-time options"
    """What they are called in errors."""

    def merged(self, changes: Mapping[str, Any]) -> Self:
        """These options with some changed.

        Raises:
            ParameterError: Any option is unknown or invalid; all problems are listed.
        """
        try:
            return self.model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            problems = problem_clauses(error, type(self))
            raise ParameterError(self.subject, "are invalid", problems=problems) from None
