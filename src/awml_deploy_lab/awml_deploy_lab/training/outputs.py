"""Files of a training: the state to continue from, the checkpoint and the measurements."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from awml_deploy_core.errors import ArtifactError, CheckpointError, ConfigError
from awml_deploy_core.files import atomic_write, io_errors, write_text
from awml_deploy_lab.training.trainer import Trainer

STATE, CHECKPOINT, METRICS = "state.pt", "checkpoint.pth", "metrics.jsonl"
"""File names in the output folder."""
_META = ("recipe", "recipe_sha256", "step", "seed", "torch")
_UNREADABLE = (
    OSError,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    pickle.UnpicklingError,
)
"""What ``torch.load`` raises on files that are damaged or something else."""


def save_state(folder: Path, trainer: Trainer, seconds: float) -> None:
    """Write ``state.pt`` whole or not at all; ``seconds`` were spent on training so far.

    Raises:
        ArtifactError: The file cannot be written.
    """
    content = {"recipe": trainer.recipe.as_dict(), "seconds": seconds, **trainer.state()}
    with atomic_write(folder / STATE) as stream:
        torch.save(content, stream)


def load_state(folder: Path, trainer: Trainer) -> float:
    """Continue from ``state.pt`` if there is one; seconds spent on training so far.

    Raises:
        CheckpointError: The file cannot be read.
        ConfigError: It is of another recipe; all differences are listed.
    """
    path = folder / STATE
    if not path.exists():
        return 0.0
    try:
        content = torch.load(path, map_location=trainer.device, weights_only=True)
        recipe, seconds = content["recipe"], float(content["seconds"])
    except _UNREADABLE as error:
        raise CheckpointError(
            path, "is not the state of a training", hint="Delete it to start again."
        ) from error
    wanted = trainer.recipe.as_dict()
    if recipe != wanted:
        keys = sorted(key for key in {*recipe, *wanted} if recipe.get(key) != wanted.get(key))
        raise ConfigError(
            path,
            "is of another recipe",
            hint="Give the same recipe and options, or another output folder.",
            problems=[f"{key}: {recipe.get(key)} there, {wanted.get(key)} now" for key in keys],
        )
    trainer.load_state(content)
    return seconds


def write_checkpoint(folder: Path, trainer: Trainer, *, half: bool = False) -> Path:
    """Write the averaged weights as mmengine writes a checkpoint, with mmdet3d's keys.

    Args:
        half: Layers' weights as float16, which halves the file. Normalisations and biases stay
            float32: a variance may be too large for float16.

    Raises:
        ArtifactError: The file cannot be written.
    """
    recipe = trainer.recipe
    state = trainer.average.model.state_dict()
    # The counters of the average are those of its start.
    counters = {name: value for name, value in trainer.model.state_dict().items() if value.ndim == 0}
    content = {
        "meta": {
            "recipe": recipe.as_dict(),
            "recipe_sha256": recipe.digest(),
            "step": trainer.step_count,
            "seed": recipe.seed,
            "class_names": list(recipe.config().class_names),
            "torch": str(torch.__version__),
        },
        "state_dict": {name: _stored(value, half) for name, value in {**state, **counters}.items()},
    }
    path = folder / CHECKPOINT
    with atomic_write(path) as stream:
        torch.save(content, stream)
    return path


def read_checkpoint_meta(path: Path) -> dict[str, Any]:
    """What :func:`write_checkpoint` recorded beside the weights.

    Raises:
        ArtifactError: The file cannot be read, or another program wrote it.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        meta: dict[str, Any] = content["meta"]
        missing = [name for name in _META if name not in meta]
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise ArtifactError(path, "cannot be read", got=str(error).splitlines()[0]) from error
    if missing:
        raise ArtifactError(path, "was not written by this training", got=f"no {', '.join(missing)}")
    return meta


def _stored(value: Tensor, half: bool) -> Tensor:
    dtype = torch.float16 if half and value.ndim > 1 else value.dtype
    return value.detach().to("cpu", dtype, copy=True).contiguous()


def append_metrics(folder: Path, line: Mapping[str, float]) -> None:
    """Add a line to ``metrics.jsonl``, with six digits of every measurement.

    Raises:
        ArtifactError: The file cannot be written.
    """
    path = folder / METRICS
    line = {
        name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in line.items()
    }
    with io_errors(path, "cannot be written"), path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """Lines of ``metrics.jsonl``, without one that is not whole; none if there is no file.

    Raises:
        ArtifactError: The file cannot be read.
    """
    path = folder / METRICS
    if not path.exists():
        return []
    with io_errors(path, "cannot be read"):
        lines = path.read_text(encoding="utf-8").splitlines()
    metrics = []
    for line in lines:
        try:
            metrics.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return metrics


def forget_metrics_after(folder: Path, step: int) -> None:
    """Remove the lines of steps that a training which continues from ``step`` will do again.

    Raises:
        ArtifactError: The file cannot be read or written.
    """
    metrics = read_metrics(folder)
    kept = [json.dumps(line) + "\n" for line in metrics if line["step"] <= step]
    if metrics:
        write_text(folder / METRICS, "".join(kept))
