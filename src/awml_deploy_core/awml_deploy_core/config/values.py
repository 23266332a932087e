"""Kinds of values that several sections of a deploy.yaml have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from awml_deploy_core.config.paths import resolve_path, resolve_source
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import DeviceError

ConfigPath = Annotated[Path, BeforeValidator(resolve_path)]
SampleSource = Annotated[str, BeforeValidator(resolve_source)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]


def _check_device(value: object) -> str:
    try:
        return str(DeviceSpec.parse(str(value)))
    except DeviceError as error:
        raise ValueError(f"unknown device, expected {error.expected}") from None


Device = Annotated[str, BeforeValidator(_check_device)]


class Section(BaseModel):
    """Base of all sections: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EndpointSection(Section):
    """One side of a scenario. The short form `backend:device` is accepted too."""

    backend: str
    """Entry-point name of the backend."""
    device: Device = "cpu"
    """`cpu`, `cuda` or `cuda:N`."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        backend, _, device = value.partition(":")
        return {"backend": backend, "device": device or "cpu"}

    def __str__(self) -> str:
        return f"{self.backend}:{self.device}"
