"""What a bundle, trained on simulated scenes only, finds on labelled real sweeps.

Command line: ``python -m awml_deploy_lab.evaluation.real_sweeps BUNDLE --assets FOLDER --json real.json
--pictures FOLDER``

A measurement with fixed choices, not a benchmark: a handful of single sweeps of KITTI and nuScenes. Labels
count within 40 m; KITTI's with occlusion at most 1 and truncation below 0.5, nuScenes' with at least one
point. KITTI labels only what its camera sees: a detection that finds no label is wrong only with its centre
in the image and with less than half of it in a region that the annotators ignored; a detection of a label
that does not count is neither right nor wrong. Box-area rules of class remapping are off, as no data set
labels by area.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from awml_deploy_core.errors import AwmlDeployError, EvaluationError
from awml_deploy_core.evaluation.task import Cell, MetricTable
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.files import atomic_write, io_errors, sha256_file
from awml_deploy_core.points import PointCloudFrame
from awml_deploy_core.reporting.bev import BevView, write_bev
from awml_deploy_core.runner.pipelines import open_pipeline
from awml_deploy_lab.evaluation.real_findings import (
    MAX_RANGE,
    RANGES,
    Figures,
    Finding,
    figures,
    label_records,
)
from awml_deploy_lab.evaluation.real_scenes import count_real_scenes, real_scenes

if TYPE_CHECKING:
    from rich.console import Console

LOWER_SCORE, HIGHER_SCORE = 0.2, 0.5
"""Score thresholds beside the bundle's default."""
_VIEW = BevView(x=(-45.0, 45.0), y=(-45.0, 45.0), pixels=1800)


@dataclass(frozen=True, eq=False)
class RealResult:
    """What was found on all sweeps."""

    default_score: float
    scores: tuple[float, ...]
    findings: tuple[Finding, ...]
    figures: tuple[Figures, ...]

    def to_json(self, bundle: Path) -> dict[str, Any]:
        """Everything, JSON-ready: figures, and by sweep every label and every detection."""
        return {
            "models": {path.name: sha256_file(path) for path in sorted(bundle.glob("*.onnx"))},
            "default_score_threshold": self.default_score,
            "max_range": MAX_RANGE,
            "ranges": RANGES,
            "left_out": dict(_left_out(self.findings)),
            "figures": [
                {**asdict(entry), "recall": entry.recall, "precision": entry.precision}
                for entry in self.figures
            ],
            "sweeps": [
                {
                    "name": finding.scene.name,
                    "num_points": len(finding.scene.columns),
                    "labels": label_records(finding),
                    "detections": [
                        {**record, "judged": bool(judged)}
                        for record, judged in zip(
                            finding.detections.to_records(),
                            finding.scene.view.judges(finding.detections),
                            strict=True,
                        )
                    ],
                }
                for finding in self.findings
            ],
        }


def evaluate(bundle: Path, assets: Path) -> RealResult:
    """Run a bundle on every sweep in ONNX Runtime on the CPU, each alone, without past sweeps.

    Raises:
        AwmlDeployError: The bundle cannot be opened, a sweep is malformed, or no label counts.
    """
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    findings = []
    with open_pipeline(bundle, "onnxruntime", "cpu", {"remap_classes": False}) as opened:
        default = float(opened.option_values()["default_score_threshold"])
        scores = tuple(sorted({LOWER_SCORE, default, HIGHER_SCORE}))
        # Suppression goes by falling score: those above a higher threshold are the same boxes.
        pipeline = opened.with_options({"default_score_threshold": scores[0], "min_confidence_scores": {}})
        for scene in track(
            real_scenes(assets),
            "Evaluating",
            count_real_scenes(assets),
            console=console,
            disable=not console.is_terminal,
        ):
            sample = PointCloudFrame.single(scene.columns, "base_link")
            findings.append(Finding(scene, pipeline.infer(sample).output))
    results = figures(findings, scores)
    if not any(entry.labelled for entry in results):
        raise EvaluationError(assets, f"no label within {MAX_RANGE:g} m counts")
    return RealResult(default, scores, tuple(findings), tuple(results))


def write_pictures(result: RealResult, folder: Path) -> None:
    """One bird's-eye view a sweep at the default score, its labels matched at 2 m.

    Raises:
        ArtifactError: A file cannot be written.
        MissingDependencyError: matplotlib is not installed.
    """
    with io_errors(folder, "cannot be created"):
        folder.mkdir(parents=True, exist_ok=True)
    for finding in result.findings:
        scene = finding.scene
        shown = finding.detections.select(np.flatnonzero(finding.detections.scores >= result.default_score))
        judged = scene.view.judges(shown)
        # Labels that do not count are drawn like those that nobody could see.
        counts = np.where(scene.counted, scene.truth.num_points, 0).astype(np.int32)
        write_bev(
            folder / f"{scene.name}.png",
            scene.columns,
            shown.select(judged),
            reference=None if judged.all() else shown.select(~judged),
            reference_name="detection where nothing is labelled",
            ground_truth=replace(scene.truth, num_points=counts),
            title=f"{scene.name}, score {result.default_score:g} and more",
            view=_VIEW,
        )


def print_result(result: RealResult, console: Console) -> None:
    """Two tables: what is found, within 2 m where the head says nothing else, and how well it fits."""
    from awml_deploy_core.reporting.evaluation_terminal import print_line, print_table

    found: list[tuple[Cell, ...]] = []
    errors: list[tuple[Cell, ...]] = []
    pairs: dict[tuple[str, str, float], list[Figures]] = {}
    for entry in result.figures:
        pairs.setdefault((entry.dataset, entry.class_name, entry.min_score), []).append(entry)
    for (dataset, name, score), entries in pairs.items():
        wide, close = entries[-1], entries[0]
        first = (f"{dataset} {name}", f"{score:g}")
        found.append(
            (
                *(*first, wide.labelled, _figure(close.recall)),
                *(_figure(wide.recall), wide.found_as_any_class),
                *(f"{f}/{n}" for f, n in zip(wide.found_by_range, wide.labelled_by_range, strict=True)),
                *(wide.false_positives, wide.on_another_class, _figure(wide.precision)),
            )
        )
        if wide.errors is not None:
            fit = wide.errors
            errors.append(
                (
                    *(*first, fit.count),
                    *(f"{share:.2f}" for share in (fit.heading, fit.heading_modulo_pi)),
                    *(f"{value:+.2f}" for value in (*fit.size, fit.away, fit.up)),
                )
            )
    columns = (
        *("class", "score", "labels", "recall\n1.5 m", "recall\n2 m", "as any\nclass"),
        *(f"{low:g}-{high:g} m" for low, high in RANGES),
        *("false", "of other\nclass", "precision"),
    )
    print_table(MetricTable(title="found", columns=columns, rows=tuple(found)), console)
    columns = (
        *("class", "score", "found", "heading\n<45 deg", "modulo\n180 deg"),
        *("length\nm", "width\nm", "height\nm", "away\nm", "up\nm"),
    )
    title = "of what is found within 2 m: shares of headings, medians of detection minus label"
    print_table(MetricTable(title=title, columns=columns, rows=tuple(errors)), console)
    left_out = ", ".join(f"{kind} {count}" for kind, count in _left_out(result.findings).items())
    print_line(f"left out, of no class: {left_out or 'none'}", console)


def _left_out(findings: Sequence[Finding]) -> Counter[str]:
    return sum((Counter(finding.scene.left_out) for finding in findings), Counter[str]())


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Evaluate a bundle on labelled real sweeps.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--assets", type=Path, required=True, help="folder with kitti and nuscenes")
    parser.add_argument("--json", type=Path, help="write everything here")
    parser.add_argument("--pictures", type=Path, help="folder for a bird's-eye view a sweep")
    options = parser.parse_args(arguments)
    from rich.console import Console

    try:
        result = evaluate(options.bundle, options.assets)
        if options.json:
            with atomic_write(options.json) as stream:
                stream.write(json.dumps(result.to_json(options.bundle), indent=1).encode())
        if options.pictures:
            write_pictures(result, options.pictures)
    except AwmlDeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    print_result(result, Console())
    return ExitCode.PASSED


if __name__ == "__main__":
    sys.exit(main())
