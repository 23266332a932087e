"""The whole CPU pipeline against the same model run eagerly, mmdet3d-style, in PyTorch.

Ours: pillars (numba), ONNX Runtime on the exported model, scatter, decoding and NMS with the
mmdet3d decoder. Peer: see mmdet3d_style.py. Same weights (those of the demo model), same cloud, same
number of threads, in turn in one run; both have to find the same boxes. The demo model takes points in
rounds, the peer in their order: it gets the cloud in rounds already, which costs it nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import measure
import numpy as np
import torch
from mmdet3d_style import EagerCenterPoint

from awml_deploy_core.device import CPU
from awml_deploy_core.export.onnx_exporter import OnnxExporter
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_core.runtime.registry import load_backend
from awml_deploy_core.runtime.session import SessionOptions, SessionSource
from awml_deploy_lab.simulation.points import lidar_like_points
from awml_extractors.centerpoint.checkpoint import load_checkpoint
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.extractor import CenterPointComponentExtractor
from awml_extractors.centerpoint.pillars import ROUNDS as ROUNDS_OF_POINTS
from awml_extractors.centerpoint.pipeline import CenterPointPipeline
from awml_extractors.centerpoint.variants import parse_config

CHECKPOINT = Path(__file__).resolve().parents[1] / "models" / "centerpoint_demo" / "checkpoint.pth"
VARIANT = "demo"
POINTS = 120_000
ROUNDS = 15
MAX_APART = 1e-3
"""Of the centres of a box that both find [m]."""


def run(rounds: int = ROUNDS, threads: int = 0) -> dict[str, Any]:
    """Measure; milliseconds, ratio as peer over ours. ``threads`` 0 leaves the choice open."""
    if threads:
        torch.set_num_threads(threads)
    config = parse_config({"variant": VARIANT})
    model = load_checkpoint(config, CHECKPOINT)
    cloud = lidar_like_points(POINTS)
    frame = PointCloudFrame.single(PointColumns.from_array(cloud))
    in_rounds = np.concatenate([cloud[turn::ROUNDS_OF_POINTS] for turn in range(ROUNDS_OF_POINTS)])
    peer = EagerCenterPoint(model)
    with tempfile.TemporaryDirectory() as folder, _pipeline(config, model, Path(folder), threads) as ours:
        ours.warm_up()
        stages: dict[str, list[float]] = {}

        def infer() -> Any:
            result = ours.infer(frame)
            for name, milliseconds in result.latencies.as_dict().items():
                stages.setdefault(name, []).append(milliseconds)
            return result

        agreement = _compare(infer(), peer(in_rounds))
        stages.clear()
        times = measure.interleaved({"ours": infer, "peer": lambda: peer(in_rounds)}, rounds, warm_up=0)
    return {
        "benchmark": "pipeline",
        "variant": VARIANT,
        "points": POINTS,
        "rounds": rounds,
        "threads": threads or torch.get_num_threads(),
        "machine": measure.machine(),
        "peer_voxelizer": peer.voxelizer,
        "agreement": agreement,
        "ms": {name: measure.summary(clocks["wall"]) for name, clocks in times.items()},
        "our_stages_ms": {name: measure.summary(values) for name, values in stages.items()},
        "ratio": {"peer / ours": measure.ratio(times["peer"]["wall"], times["ours"]["wall"])},
    }


def _pipeline(config: CenterPointConfig, model: Any, folder: Path, threads: int) -> CenterPointPipeline:
    backend = load_backend("onnxruntime")
    sessions = {}
    for component in CenterPointComponentExtractor(config).extract(model):
        OnnxExporter().export(component, folder)
        source = SessionSource(component.spec, folder / component.spec.onnx_file)
        options = SessionOptions(num_threads=threads)
        sessions[component.spec.name] = backend.open_session(source, CPU, options)
    return CenterPointPipeline(config, sessions, {"decoder": "mmdet3d"})


def _compare(result: Any, peer: tuple[Any, Any, Any]) -> dict[str, Any]:
    boxes, scores, _ = peer
    ours = result.output
    if len(boxes) != len(ours):
        raise SystemExit(f"boxes differ: {len(ours)} ours, {len(boxes)} by the peer")
    if not len(boxes):
        raise SystemExit("no boxes to compare")
    distances = np.linalg.norm(boxes[:, None, :3] - ours.centers[None], axis=2)
    nearest = distances.argmin(axis=1)
    apart = float(distances.min(axis=1).max())
    if apart > MAX_APART:
        raise SystemExit(f"boxes differ: centres are up to {apart} m apart")
    return {
        "boxes": len(boxes),
        "pillars": result.counts["pillars"],
        "max_center_difference_m": apart,
        "max_score_difference": float(np.abs(scores - ours.scores[nearest]).max()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", type=int, default=0, help="0: each runtime's own choice")
    options = parser.parse_args()
    measure.write_json(run(options.rounds, options.threads), options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
