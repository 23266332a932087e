"""What is compared with what."""

from __future__ import annotations

from dataclasses import dataclass

from awml_deploy_core.config.values import EndpointSection
from awml_deploy_core.config.verification import Precision, ScenarioSection
from awml_deploy_core.device import DeviceSpec


@dataclass(frozen=True)
class Endpoint:
    """A backend on a device."""

    backend: str
    device: DeviceSpec

    @classmethod
    def from_section(cls, section: EndpointSection) -> Endpoint:
        return cls(section.backend, DeviceSpec.parse(section.device))

    def __str__(self) -> str:
        return f"{self.backend}:{self.device}"


@dataclass(frozen=True)
class Scenario:
    """A reference endpoint against a test endpoint."""

    name: str
    reference: Endpoint
    test: Endpoint
    required: bool = True
    precision: Precision | None = None
    """Whose tolerances apply; None asks the artifacts."""

    @classmethod
    def from_section(cls, section: ScenarioSection) -> Scenario:
        return cls(
            section.title,
            Endpoint.from_section(section.reference),
            Endpoint.from_section(section.test),
            section.required,
            section.precision,
        )
