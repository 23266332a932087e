"""Everything that decides what a training makes, as one value."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from awml_deploy_core.errors import ConfigError
from awml_deploy_core.validation import problem_clauses, suggest
from awml_deploy_lab.training.augment import Augmentation
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.variants import parse_config


class Restart(BaseModel):
    """The learning rate falls from its highest once more (Loshchilov and Hutter, SGDR, 2017)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: Annotated[int, Field(gt=0)]
    """First step of it."""
    velocity_weight: Annotated[float, Field(gt=0)] = 1.0
    """Of the velocity within the regression from here on; before any restart it is 1."""


class Recipe(BaseModel):
    """How one model is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    model: Mapping[str, Any]
    """As in a deploy configuration: a variant and changes, or CenterPointConfig's own keys."""
    steps: Annotated[int, Field(gt=0)] = 20000
    batch_size: Annotated[int, Field(gt=0)] = 8
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of the weights, the batches and their augmentation."""
    num_past_sweeps: Annotated[int, Field(ge=0)] = 1
    past_drop_probability: Annotated[float, Field(ge=0, le=1)] = 0.15
    """Of leaving out the past sweeps of a frame."""
    flip: bool = True
    max_yaw: Annotated[float, Field(ge=0, le=math.pi)] = math.pi
    """[rad] Frames are rotated by up to this angle either way."""
    scale: tuple[float, float] = (0.95, 1.05)
    """Frames are scaled by a factor between these."""
    min_points: Annotated[int, Field(ge=0)] = 1
    """Boxes with fewer returns are ignored."""
    regression_radius: Annotated[int, Field(ge=0, le=8)] = 1
    """Output cells around that of a centre that learn regression; see targets.py."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Highest learning rate of the cycle."""
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """Part of the steps in which the learning rate rises."""
    lr_divisor: Annotated[float, Field(ge=1)] = 10.0
    """Highest learning rate by that of the first step."""
    final_lr_divisor: Annotated[float, Field(ge=1)] = 1e4
    """Learning rate of the first step by that of the last."""
    restarts: tuple[Restart, ...] | None = None
    """In the order of their steps; the first ends the cycle."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Of weights that are matrices or kernels; normalisations and biases have none."""
    grad_clip: Annotated[float, Field(gt=0)] = 35.0
    """Highest norm of all gradients together."""
    norm_momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of a batch in the running statistics of normalisations. mmdet3d's 0.01 would leave traces
    of the start in short trainings, and the average of the weights covers the statistics too."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Of the averaged weights, which are what the training gives."""

    @model_validator(mode="after")
    def _restarts_within(self) -> Recipe:
        steps = [restart.step for restart in self.restarts or ()]
        if steps != sorted(set(steps)):
            raise ValueError(f"restarts at steps {steps}, expected rising steps")
        if steps and steps[-1] >= self.steps:
            raise ValueError(f"restart at step {steps[-1]}, expected less than steps, {self.steps}")
        return self

    def restart_before(self, step: int) -> Restart | None:
        """The last restart that has begun at a step, counted from 0."""
        begun = (restart for restart in reversed(self.restarts or ()) if restart.step <= step)
        return next(begun, None)

    def config(self) -> CenterPointConfig:
        """The model's configuration.

        Raises:
            ConfigError: It is invalid, or has variance outputs, which this recipe does not train.
        """
        config = parse_config(self.model)
        if config.has_variance:
            raise ConfigError(
                f"recipe {self.name}", "has no loss for variance outputs", expected="has_variance: false"
            )
        return config

    def augmentation(self) -> Augmentation:
        """Changes to batches. A model without past sweeps learns no velocity, whatever is drawn."""
        drop = self.past_drop_probability if self.num_past_sweeps else 1.0
        return Augmentation(self.flip, self.max_yaw, self.scale, drop)

    def as_dict(self) -> dict[str, Any]:
        """The recipe as JSON has it, without what is not set."""
        values: dict[str, Any] = json.loads(self.model_dump_json(exclude_none=True))
        return values

    def digest(self) -> str:
        """Hexadecimal SHA-256 of the recipe's canonical JSON."""
        text = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def changed(self, **values: Any) -> Recipe:
        """A copy with other values, where they are not None.

        Raises:
            ConfigError: A value is invalid; all are listed.
        """
        given = {key: value for key, value in values.items() if value is not None}
        try:
            return Recipe.model_validate({**self.model_dump(), **given})
        except ValidationError as error:
            problems = problem_clauses(error, Recipe)
            raise ConfigError(f"recipe {self.name}", "is invalid", problems=problems) from None


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="demo",
            model={"variant": "demo"},
            steps=14900,
            batch_size=32,
            lr=2.5e-3,
            restarts=(Restart(step=5500), Restart(step=9900, velocity_weight=3.0)),
        ),
        Recipe(
            name="base",
            model={"variant": "autoware_base", "has_twist": True, "point_order": "interleaved"},
            steps=3650,
            lr=1.5e-3,
        ),
        # Seconds on a CPU: to try the command.
        Recipe(
            name="smoke",
            model={
                "point_cloud_range": (-25.6, -25.6, -4.0, 25.6, 25.6, 4.0),
                "voxel_size": (0.4, 0.4, 8.0),
                "max_points_per_voxel": 8,
                "pfn_channels": (8, 8),
                "backbone_channels": (8, 16, 16),
                "backbone_layers": (1, 1, 1),
                "neck_channels": (8, 8, 8),
                "head_channels": 16,
                "head_kernel": 1,
            },
            steps=20,
            batch_size=2,
        ),
    )
}
"""Recipes by name."""


def find_recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        ConfigError: There is none.
    """
    if name not in RECIPES:
        problem = f"is unknown{suggest(name, RECIPES)}"
        raise ConfigError(f"recipe {name}", problem, expected=", ".join(RECIPES))
    return RECIPES[name]
