"""Training of a recipe, in as many runs as it takes.

Command line: ``python -m awml_deploy_lab.training.train RECIPE --output DIR [--time-limit SECONDS]``

A run that stops before the last step (time limit, Ctrl-C, SIGTERM) leaves ``state.pt``; the same
command continues from it and gives the same weights as one run would.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from awml_deploy_core.errors import AwmlDeployError, DeviceError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.files import io_errors
from awml_deploy_lab.training import outputs
from awml_deploy_lab.training.display import Display, display, show_nothing
from awml_deploy_lab.training.recipe import RECIPES, Recipe, find_recipe
from awml_deploy_lab.training.source import BatchSource
from awml_deploy_lab.training.trainer import MEASURES, Trainer, one_cycle

UNFINISHED = 75
"""Exit code of a run that stopped before the last step (EX_TEMPFAIL): run the same command again."""


class TrainingError(AwmlDeployError):
    """A training cannot go on."""


def make_source(recipe: Recipe, device: torch.device) -> BatchSource:
    """Simulated scenes for a recipe."""
    from awml_deploy_lab.training.simulated import SimulatedBatches

    config = recipe.config()
    source: BatchSource = SimulatedBatches(
        batch_size=recipe.batch_size,
        num_past_sweeps=recipe.num_past_sweeps,
        class_names=config.class_names,
        device=device,
        seed=recipe.seed,
        # What is beyond the range is seen by rays that pass over it.
        reach=config.point_cloud_range[3] + 35.0,
    )
    return source


class _Meter:
    """Sums measurements on the device, so that the host waits for them once an interval."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None
        self._steps = 0
        self._start = time.monotonic()

    def add(self, measures: Tensor) -> None:
        self._sum = measures if self._sum is None else self._sum + measures
        self._steps += 1

    def read(self, trainer: Trainer) -> dict[str, float]:
        """Means since the last reading."""
        assert self._sum is not None
        means = (self._sum / self._steps).tolist()
        now = time.monotonic()
        rate = self._steps / max(now - self._start, 1e-9)
        metrics = {
            "step": trainer.step_count,
            "lr": one_cycle(trainer.recipe, trainer.step_count - 1)[0],
            "loss": sum(means[:-1]),
            **dict(zip(MEASURES, means, strict=True)),
            "steps_per_second": rate,
            "frames_per_second": rate * trainer.recipe.batch_size,
        }
        self._sum, self._steps, self._start = None, 0, now
        return metrics


def train(
    trainer: Trainer,
    source: BatchSource,
    folder: Path,
    *,
    time_limit: float = math.inf,
    stop: Callable[[], bool] = lambda: False,
    log_every: int = 50,
    save_every: int = 1000,
    seconds: float = 0.0,
    show: Display = show_nothing,
) -> bool:
    """Train to the last step of the recipe, or until told to stop; whether it was reached.

    Leaves the state after the last step done and the measurements in ``folder``.

    Args:
        time_limit: Stop after the first step that ends later than this [s].
        stop: Asked after every step.
        log_every: Steps a line of ``metrics.jsonl``.
        save_every: Steps from one saved state to the next.
        seconds: Spent by earlier runs.

    Raises:
        ArtifactError: A file cannot be written.
        TrainingError: The loss is no longer finite; the last saved state is kept.
    """
    steps = trainer.recipe.steps
    start = time.monotonic()
    meter = _Meter()
    batches = source.batches(trainer.step_count)
    while trainer.step_count < steps:
        meter.add(trainer.step(next(batches)))
        done, spent = trainer.step_count, time.monotonic() - start
        ending = done == steps or spent >= time_limit or stop()
        saving = ending or done % save_every == 0
        metrics = None
        if saving or done % log_every == 0:
            metrics = {**meter.read(trainer), "seconds": round(seconds + time.monotonic() - start, 3)}
            if not math.isfinite(metrics["loss"]):
                raise TrainingError(
                    f"step {done}", "the loss is not finite", hint="Lower the learning rate."
                )
            outputs.append_metrics(folder, metrics)
        show(done, metrics)
        if saving:
            outputs.save_state(folder, trainer, seconds + time.monotonic() - start)
        if ending:
            break
    return trainer.step_count == steps


@contextmanager
def _stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM let the current step end; a second one ends the process as ever."""
    came: list[int] = []

    def remember(number: int, _frame: object) -> None:
        came.append(number)
        signal.signal(number, previous[number])

    previous = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in previous:
        signal.signal(number, remember)
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Train a CenterPoint model on simulated scenes.")
    parser.add_argument("recipe", help=f"one of {', '.join(RECIPES)}")
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--batch-size", type=int, help="instead of the recipe's")
    parser.add_argument("--lr", type=float, help="highest learning rate, instead of the recipe's")
    parser.add_argument("--seed", type=int, help="instead of the recipe's")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--time-limit", type=float, default=math.inf, help="stop after these seconds")
    parser.add_argument("--compile", action="store_true", help="compile the network with torch.compile")
    parser.add_argument("--half", action="store_true", help="weights of the checkpoint as float16")
    parser.add_argument("--log-every", type=int, default=50, help="steps; default: %(default)s")
    parser.add_argument("--save-every", type=int, default=1000, help="steps; default: %(default)s")
    return parser


def _run(options: argparse.Namespace, console: Console) -> int:
    recipe = find_recipe(options.recipe).changed(
        steps=options.steps, batch_size=options.batch_size, lr=options.lr, seed=options.seed
    )
    try:
        device = torch.device(options.device)
        trainer = Trainer(recipe, device, compiled=options.compile)
    # torch asserts that it was built for the device.
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(
            f"device {options.device}", "cannot be used", got=str(error).splitlines()[0]
        ) from error
    folder: Path = options.output
    with io_errors(folder, "cannot be made"):
        folder.mkdir(parents=True, exist_ok=True)
    seconds = outputs.load_state(folder, trainer)
    outputs.forget_metrics_after(folder, trainer.step_count)
    with (
        _stop_on_signals() as stop,
        display(console, recipe.name, trainer.step_count, recipe.steps) as show,
    ):
        finished = train(
            trainer,
            make_source(recipe, device),
            folder,
            time_limit=options.time_limit,
            stop=stop,
            log_every=options.log_every,
            save_every=options.save_every,
            seconds=seconds,
            show=show,
        )
    path = outputs.write_checkpoint(folder, trainer, half=options.half)
    state = "finished" if finished else "stopped; the same command continues"
    console.print(f"{path} after {trainer.step_count} of {recipe.steps} steps: {state}", soft_wrap=True)
    return ExitCode.PASSED if finished else UNFINISHED


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of this module."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options, Console())
    except AwmlDeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
