"""One model on its way through a recipe: steps, averaged weights, and a state to continue from."""

from __future__ import annotations

import copy
import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from awml_deploy_lab.training.augment import apply_changes, draw_changes
from awml_deploy_lab.training.batch import TrainingBatch
from awml_deploy_lab.training.losses import CODE_WEIGHTS, LOSS_TERMS, loss_terms
from awml_deploy_lab.training.network import BatchNetwork, new_model
from awml_deploy_lab.training.recipe import Recipe
from awml_deploy_lab.training.targets import TargetMaker
from awml_deploy_lab.training.voxelize import BatchVoxelizer
from awml_extractors.centerpoint.model import CenterPoint

MEASURES = (*LOSS_TERMS, "grad_norm")
"""What :meth:`Trainer.step` gives, in order; the loss is the sum of all but the last."""
_MOMENTUM = (0.85, 0.95)
"""Lowest and highest first beta of AdamW: the other way round than the learning rate."""


def one_cycle(recipe: Recipe, step: int) -> tuple[float, float]:
    """Learning rate and first beta of a step, as torch's OneCycleLR with cosine annealing gives them.

    From a restart on they fall from the peak once more. A function of the step, so that there is no
    state to save.
    """
    bounds = [0, *(restart.step for restart in recipe.restarts or ()), recipe.steps]
    cycle = bisect_right(bounds, step, hi=len(bounds) - 1) - 1
    steps, step = bounds[cycle + 1] - bounds[cycle], step - bounds[cycle]
    peak = 0.0 if cycle else recipe.warmup * steps - 1
    start, end = recipe.lr / recipe.lr_divisor, recipe.lr / recipe.lr_divisor / recipe.final_lr_divisor
    low, high = _MOMENTUM
    if step <= peak:
        part = step / peak if peak > 0 else 1.0
        return _anneal(start, recipe.lr, part), _anneal(high, low, part)
    part = (step - peak) / max(steps - 1 - peak, 1.0)
    return _anneal(recipe.lr, end, part), _anneal(low, high, part)


def _anneal(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(part, 1.0))) / 2


class AveragedModel:
    """Exponential moving average of a model.

    Statistics of batch normalisations are averaged as the weights are, so that they belong to the
    same stretch of the training. The decay starts low: the first weights are random.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._decay = decay
        state, averaged = model.state_dict(), self.model.state_dict()
        names = [name for name, value in state.items() if value.is_floating_point()]
        self._source = [state[name] for name in names]
        self._average = [averaged[name] for name in names]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after ``step``, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._average, self._source, 1 - decay)


class Trainer:
    """Model, averaged model and optimiser of a recipe on one device.

    Args:
        recipe: What to train.
        device: A CPU or GPU; a GPU computes in bfloat16 after the encoder.
        compiled: Compile the network with ``torch.compile``.

    Raises:
        ConfigError: The recipe's model is invalid.
    """

    def __init__(self, recipe: Recipe, device: torch.device, *, compiled: bool = False) -> None:
        self.recipe = recipe
        self.device = device
        self.step_count = 0
        """Steps done."""
        config = recipe.config()
        on_gpu = device.type == "cuda"
        model = new_model(config, recipe.seed, norm_momentum=recipe.norm_momentum).to(device)
        # torch's annotations know this argument beside a tensor only.
        self.model: CenterPoint = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = AveragedModel(model, recipe.ema_decay)
        self._network = BatchNetwork(model, half=on_gpu, compiled=compiled)
        self._voxelizer = BatchVoxelizer(config, device)
        self._targets = TargetMaker(
            config, min_points=recipe.min_points, regression_radius=recipe.regression_radius
        )
        self._loss_terms = torch.compile(loss_terms, dynamic=True) if compiled else loss_terms
        parameters = list(model.parameters())
        # Only weights of layers have more than one axis.
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW(groups, lr=recipe.lr, fused=on_gpu)

    def step(self, batch: TrainingBatch) -> Tensor:
        """Learn from a batch; float32 on the device, one value a name of :data:`MEASURES`."""
        recipe = self.recipe
        changes = draw_changes(recipe.augmentation(), batch.size, recipe.seed, self.step_count, self.device)
        batch = apply_changes(batch, changes)
        targets = self._targets.make(batch)
        pillars = self._voxelizer.voxelize(batch)
        rate, momentum = one_cycle(recipe, self.step_count)
        for group in self._optimizer.param_groups:
            group["lr"], group["betas"] = rate, (momentum, 0.999)
        self.model.train()
        restart = recipe.restart_before(self.step_count)
        weights = CODE_WEIGHTS if restart is None else {**CODE_WEIGHTS, "vel": restart.velocity_weight}
        terms = self._loss_terms(self._network(pillars), targets, weights)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(terms.sum())
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), recipe.grad_clip)
        self._optimizer.step()
        self.average.update(self.step_count)
        self.step_count += 1
        return torch.cat([terms.detach(), norm.detach().reshape(1)])

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on. Nothing draws from a global random generator."""
        return {
            "step": self.step_count,
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state` gave for the same recipe."""
        self.step_count = int(state["step"])
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
