"""Picture of a training's course.

Command line: ``python -m awml_deploy_lab.training.curve DIR`` reads ``DIR/metrics.jsonl`` and writes
``DIR/curve.png``.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from awml_deploy_core.errors import ArtifactError, AwmlDeployError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.files import write_bytes
from awml_deploy_core.packages import require_package
from awml_deploy_lab.training.losses import LOSS_TERMS
from awml_deploy_lab.training.outputs import METRICS, read_metrics

CURVE = "curve.png"
"""File name in the output folder."""


def write_curve(folder: Path) -> Path:
    """Draw loss terms and learning rate over the steps into ``curve.png``.

    Raises:
        ArtifactError: There are no measurements, or a file cannot be read or written.
        MissingDependencyError: matplotlib is not installed.
    """
    require_package("matplotlib", "to draw pictures", "3.7")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metrics = read_metrics(folder)
    if not metrics:
        raise ArtifactError(folder / METRICS, "has no measurements", hint="Train first.")
    steps = [line["step"] for line in metrics]
    figure = Figure(figsize=(9.0, 6.0), layout="constrained")
    FigureCanvasAgg(figure)
    losses, rate = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    for name in ("loss", *LOSS_TERMS):
        values = [line[name] for line in metrics]
        losses.plot(steps, values, label=name, color="black" if name == "loss" else None, linewidth=1.2)
    losses.set_yscale("log")
    losses.set_ylabel("loss")
    losses.legend(ncols=4)
    rate.plot(steps, [line["lr"] for line in metrics], linewidth=1.2)
    rate.set_ylabel("learning rate")
    rate.set_xlabel("step")
    for axes in (losses, rate):
        axes.grid(alpha=0.3)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=80, metadata={"Software": None})
    path = folder / CURVE
    write_bytes(path, picture.getvalue())
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Draw the course of a training.")
    parser.add_argument("folder", type=Path, help="output folder of the training")
    options = parser.parse_args(arguments)
    try:
        print(write_curve(options.folder))
    except AwmlDeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    return ExitCode.PASSED


if __name__ == "__main__":
    sys.exit(main())
