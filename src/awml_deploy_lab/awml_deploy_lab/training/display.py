"""How a training shows people where it is: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Display(Protocol):
    """Told of every step, and of the measurements whenever there are new ones."""

    def __call__(self, step: int, metrics: Mapping[str, float] | None) -> None:
        """``step`` steps are done."""
        ...


def show_nothing(step: int, metrics: Mapping[str, float] | None) -> None:
    """Tell nobody."""


@contextmanager
def display(console: Console, name: str, start: int, total: int) -> Iterator[Display]:
    """A display of a training of ``total`` steps, ``start`` of which are done."""
    if not console.is_terminal:

        def line(step: int, metrics: Mapping[str, float] | None) -> None:
            if metrics is not None:
                console.print(f"step {step}/{total}  {summary(metrics)}", highlight=False, soft_wrap=True)

        yield line
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[summary]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(name, total=total, completed=start, summary="")

        def bar(step: int, metrics: Mapping[str, float] | None) -> None:
            progress.update(task, completed=step)
            if metrics is not None:
                progress.update(task, summary=summary(metrics))

        yield bar


def summary(metrics: Mapping[str, float]) -> str:
    """Loss terms, learning rate and speed in one line."""
    hidden = ("step", "lr", "seconds", "steps_per_second", "frames_per_second")
    terms = [f"{name} {value:.3f}" for name, value in metrics.items() if name not in hidden]
    speed = f"{metrics['steps_per_second']:.2f} steps/s, {metrics['frames_per_second']:.1f} frames/s"
    return "  ".join([*terms, f"lr {metrics['lr']:.2e}", speed])
