"""The card of a shipped model, written from its files.

Command line: ``python -m awml_deploy_lab.evaluation.model_card models/centerpoint_demo``

Every figure of the card comes from a file beside it, and the card ends with the SHA-256 of all of them,
so that weights, graphs and metrics that do not belong together are found out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from awml_deploy_core.artifacts import Manifest
from awml_deploy_core.errors import ArtifactError, AwmlDeployError
from awml_deploy_core.evaluation.metrics import ClassMetrics, DetectionMetrics
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.files import io_errors, sha256_file, write_text
from awml_deploy_lab.evaluation.held_out import HeldOutResult
from awml_deploy_lab.training.outputs import read_checkpoint_meta

CARD = "README.md"
INTRODUCTION = "introduction.md"
"""What only a person can say: purpose and limits. The card starts with it."""
CHECKPOINT = "checkpoint.pth"
HELD_OUT = "evaluation/held_out.json"
SINGLE_SWEEP = "evaluation/held_out_single_sweep.json"
REAL_SWEEPS = "evaluation/real_sweeps.json"
BUNDLE = "bundle"
"""Shipped where it is small. Otherwise the folder has the manifest of the bundle that was measured, and the
checkpoint gives the bundle again."""


def card_of(folder: Path) -> str:
    """The text of a model's card.

    Raises:
        ArtifactError: A file is missing or unreadable, or the metrics are those of another bundle.
    """
    introduction = _read(folder / INTRODUCTION)
    sections = [introduction.rstrip(), _training(folder)]
    for file, title in (
        (HELD_OUT, "Held-out simulated scenes"),
        (SINGLE_SWEEP, "The same without the past sweep"),
    ):
        if (folder / file).exists():
            sections.append(_held_out(folder, file, title))
    if (folder / REAL_SWEEPS).exists():
        sections.append(_real_sweeps(folder))
    sections.append(_files(folder))
    return "\n\n".join(sections) + "\n"


def _read(path: Path) -> str:
    with io_errors(path, "cannot be read"):
        return path.read_text(encoding="utf-8")


def _training(folder: Path) -> str:
    meta = read_checkpoint_meta(folder / CHECKPOINT)
    recipe: Mapping[str, Any] = meta["recipe"]
    frames = meta["step"] * recipe["batch_size"]
    lines = [
        "## Training",
        "",
        f"Recipe `{recipe['name']}`, {meta['step']} of {recipe['steps']} steps of {recipe['batch_size']} "
        f"frames, so {frames:,} frames, each simulated for this training and seen once. "
        f"Seed {meta['seed']}, torch {meta['torch']}, recipe SHA-256 `{meta['recipe_sha256']}`.",
        "",
        "![loss terms over the steps](training/curve.png)",
        "",
        "```json",
        json.dumps(recipe, indent=1),
        "```",
    ]
    return "\n".join(lines)


def _held_out(folder: Path, file: str, title: str) -> str:
    path = folder / file
    try:
        result = HeldOutResult.model_validate_json(_read(path))
    except ValidationError as error:
        raise ArtifactError(path, "is not a result of the held-out evaluation", got=error) from None
    _check_measured(path, result.bundle, folder)
    metrics = result.metrics
    lines = [
        f"## {title}",
        "",
        f"{result.frames} frames of drives with other seeds and scene parameters than the training's, "
        f"{result.past_sweeps} past sweeps, the whole pipeline in ONNX Runtime on the CPU, boxes with at "
        f"least {metrics.settings.min_points} points, nuScenes' class ranges.",
        "",
        *_class_table(metrics),
        "",
        f"mAP **{metrics.mean_ap:.3f}**, NDS without attributes {metrics.nds_without_attributes:.3f}, "
        f"mean velocity error {_number(metrics.errors.ave if metrics.errors else None)} m/s.",
        "",
        *_range_table(metrics),
    ]
    return "\n".join(lines)


def _check_measured(path: Path, measured: Mapping[str, str], folder: Path) -> None:
    graphs = _graphs(folder)
    for name, digest in measured.items():
        actual = graphs.get(name, "no such file")
        if actual != digest:
            raise ArtifactError(
                path,
                f"was measured with another {name}",
                got=digest,
                expected=actual,
                hint="Run the evaluation again.",
            )


def _graphs(folder: Path) -> dict[str, str]:
    """SHA-256 by ONNX file of the model's bundle, which was exported from the checkpoint beside it."""
    shipped = (folder / BUNDLE).exists()
    manifest = Manifest.read(folder / BUNDLE if shipped else folder)
    source = manifest.provenance.checkpoint
    expected = sha256_file(folder / CHECKPOINT)
    if source is None or source.sha256 != expected:
        raise ArtifactError(
            folder, "has a manifest of another checkpoint", got=source and source.sha256, expected=expected
        )
    recorded = {record.path: record.sha256 for record in manifest.files if record.path.endswith(".onnx")}
    return {name: sha256_file(folder / BUNDLE / name) for name in recorded} if shipped else recorded


def keep_real_figures(folder: Path, details: Path) -> None:
    """Keep the figures of an evaluation on real sweeps, without the labels, which have a licence.

    Args:
        folder: Of the model.
        details: What ``real_sweeps --json`` wrote.

    Raises:
        ArtifactError: It cannot be read.
    """
    values = json.loads(_read(details))
    kept = {key: value for key, value in values.items() if key != "sweeps"}
    write_text(folder / REAL_SWEEPS, json.dumps(kept, indent=1) + "\n")


def _real_sweeps(folder: Path) -> str:
    values = json.loads(_read(folder / REAL_SWEEPS))
    _check_measured(folder / REAL_SWEEPS, values["models"], folder)
    score = values["default_score_threshold"]
    lines = [
        "## Real sweeps",
        "",
        f"Labelled road users of 16 KITTI sweeps and one nuScenes sweep within {values['max_range']:g} m, "
        f"single sweeps, score at least {score:g}, centre within 2 m. Nothing was tuned on them.",
        "",
        "| data, class | labelled | found | found as any class | false | recall | precision |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for item in values["figures"]:
        if item["min_score"] == score and item["max_distance"] == 2.0 and item["labelled"]:
            lines.append(
                f"| {item['dataset']} {item['class_name']} | {item['labelled']} | {item['found']} "
                f"| {item['found_as_any_class']} | {item['false_positives']} "
                f"| {_number(item['recall'])} | {_number(item['precision'])} |"
            )
    lines += [
        "",
        "So far does simulation carry: near and mid-range cars are found with the right size and heading, "
        "far ones often not, and real hedges, banks, bushes and posts are taken for vehicles and people.",
    ]
    return "\n".join(lines)


def _class_table(metrics: DetectionMetrics) -> Iterator[str]:
    thresholds = metrics.settings.thresholds
    heads = [f"AP {threshold:g} m" for threshold in thresholds]
    yield "| class | boxes | " + " | ".join(heads) + " | AP | ATE [m] | ASE | AOE [rad] | AVE [m/s] |"
    yield "| --- " * (8 + len(thresholds) - 1) + "|"
    for item in metrics.classes:
        yield "| " + " | ".join(_class_row(item, thresholds)) + " |"


def _class_row(item: ClassMetrics, thresholds: Sequence[float]) -> Iterator[str]:
    yield item.name
    yield str(item.num_gt)
    for threshold in thresholds:
        yield _number(item.ap[threshold] if item.ap else None)
    yield _number(item.mean_ap)
    for name in ("ate", "ase", "aoe", "ave"):
        yield _number(getattr(item.errors, name) if item.errors else None)


def _range_table(metrics: DetectionMetrics) -> Iterator[str]:
    yield "| distance | boxes | mAP | ATE [m] | AVE [m/s] |"
    yield "| --- | --- | --- | --- | --- |"
    for part in metrics.by_range:
        if part.num_gt:
            span = f"{part.near:g} m and more" if part.far is None else f"{part.near:g} to {part.far:g} m"
            errors = part.errors
            values = (part.mean_ap, errors.ate if errors else None, errors.ave if errors else None)
            yield f"| {span} | {part.num_gt} | " + " | ".join(map(_number, values)) + " |"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _files(folder: Path) -> str:
    lines = ["## Files", "", "| file | bytes | SHA-256 |", "| --- | --- | --- |"]
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != CARD:
            name = path.relative_to(folder).as_posix()
            lines.append(f"| `{name}` | {path.stat().st_size} | `{sha256_file(path)}` |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Write the card of a shipped model from its files.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--real", type=Path, help="what real_sweeps --json wrote, to take its figures")
    options = parser.parse_args(arguments)
    try:
        if options.real:
            keep_real_figures(options.folder, options.real)
        write_text(options.folder / CARD, card_of(options.folder))
    except AwmlDeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    print(options.folder / CARD)
    return ExitCode.PASSED


if __name__ == "__main__":
    sys.exit(main())
