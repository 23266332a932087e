"""What a defect or a clean variation is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from awml_deploy_lab.faults.deployment import Deployment

Change = Callable[[Deployment], object]


@dataclass(frozen=True)
class Defect:
    """Something that goes wrong between training and the vehicle."""

    name: str
    where: str
    """What it is planted in: graph, manifest, parameters, configuration, code, engine."""
    plant: Change
    level: str
    """The first level that has to see it."""
    says: tuple[str, ...]
    """Words that one finding has to say, so that the defect is named and not only noticed."""


@dataclass(frozen=True)
class Variation:
    """Something that differs from the sound deployment and is no defect."""

    name: str
    vary: Change
