"""Stand-in weights from a seed: they detect nothing meaningful.

They let the whole chain run (load, export, verify, drive the node) before trained weights exist.
The network is random, but adjusted on two frames of a synthetic street so that it behaves like a
trained one in numbers: activations keep their scale, boxes have the size of vehicles and a clear
heading, and some tens of cells a frame pass Autoware's score threshold of 0.35. The same variant
and seed give the same file on the same machine.

Command line: ``python -m awml_extractors.centerpoint.seeded VARIANT OUT.pth --seed 0``
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.files import atomic_write, io_errors
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.model import CenterPoint
from awml_extractors.centerpoint.pillars import Voxelizer
from awml_extractors.centerpoint.variants import parse_config
from awml_extractors.datasets.synthetic import SyntheticScene

_THRESHOLD = math.log(0.35 / 0.65)
"""Logit of Autoware's default score threshold."""
_BEST = math.log(0.85 / 0.15)
"""Logit of the best cell of a class."""
_CELLS = 80
"""Cells above the threshold on both calibration frames together, over all classes."""
_DRAWS = 320
"""Random weights tried for the heatmap."""
_MAX_SIDE = 256
"""Calibration looks at the middle of a larger canvas only."""
_OUTPUTS: dict[str, tuple[Sequence[float], float]] = {
    "reg": ((0.5, 0.5), 0.15),
    "height": ((-0.8,), 0.3),
    "dim": ((math.log(4.2), math.log(1.9), math.log(1.7)), 0.12),
    "rot": ((0.0, 1.0), 0.4),
    "vel": ((0.0, 0.0), 1.0),
}
"""Mean of every channel and standard deviation of a regression branch, in mmdet3d's convention."""
_LOG_VARIANCE = (-2.0, 0.3)


def seeded_model(config: CenterPointConfig, seed: int) -> CenterPoint:
    """A CenterPoint with stand-in weights in eval mode on the CPU."""
    with torch.random.fork_rng(devices=[]):
        model = CenterPoint(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        _initialise(model, generator)
        _calibrate(model, seed, generator)
    return model


def write_checkpoint(config: CenterPointConfig, path: Path, seed: int) -> None:
    """Write stand-in weights as mmengine writes a checkpoint, making the folder if need be.

    Raises:
        ArtifactError: The file cannot be written.
    """
    content = {
        "meta": {"seed": seed, "experiment_name": "seeded stand-in, not trained"},
        "state_dict": seeded_model(config, seed).state_dict(),
        "message_hub": {},
    }
    with io_errors(path, "cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as stream:
        torch.save(content, stream)


def _initialise(model: CenterPoint, generator: torch.Generator) -> None:
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _calibrate(model: CenterPoint, seed: int, generator: torch.Generator) -> None:
    """Set the statistics of every normalisation, then the last layer of every branch."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    model.train()
    canvas = _middle(_canvas(model, seed))
    model.forward_canvas(canvas)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        nn.init.zeros_(norm.get_buffer("num_batches_tracked"))
    model.eval()
    street, empty = _shared_features(model, canvas), _shared_features(model, torch.zeros_like(canvas[:1]))
    for name, branch in model.pts_bbox_head.task_heads[0].named_children():
        body, last = cast(tuple[nn.Module, nn.Conv2d], tuple(branch.children()))
        if name == "heatmap":
            _adjust_heatmap(last, body(street), body(empty), generator)
        else:
            _adjust_regression(last, body(street), *_distribution(model.config, name))


def _shared_features(model: CenterPoint, canvas: Tensor) -> Tensor:
    features: Tensor = model.pts_bbox_head.shared_conv(model.pts_neck(model.pts_backbone(canvas)))
    return features


def _adjust_heatmap(last: nn.Conv2d, street: Tensor, empty: Tensor, generator: torch.Generator) -> None:
    """Give every class the random weights that set some cells of the street best apart from nothing.

    Mostly negative weights on rectified features hold scores down on clouds unlike the
    calibration's, which otherwise drive hundreds of cells beyond the threshold. Only the middle of
    a kernel is used, because the edge of the map, padded with zeros, would score best.
    """
    classes, passing = last.out_channels, max(1, _CELLS // last.out_channels)
    middle = last.kernel_size[0] // 2
    draws = torch.randn((_DRAWS, last.in_channels), generator=generator)
    weights = torch.zeros(_DRAWS, *last.weight.shape[1:])
    weights[:, :, middle, middle] = torch.where(draws > 0, 0.05 * draws, draws)
    scores = nn.functional.conv2d(street, weights, padding=last.padding).transpose(0, 1).flatten(1)
    nothing = nn.functional.conv2d(empty, weights, padding=last.padding).transpose(0, 1).flatten(1)
    best = scores.topk(passing + 1, dim=1).values
    least, spread = best[:, -1], (best[:, 0] - best[:, -1]).clamp_min(1e-6)
    chosen = ((least - nothing.amax(dim=1)) / spread).topk(classes).indices
    gain = (_BEST - _THRESHOLD) / spread[chosen]
    last.weight.copy_(gain.reshape(-1, 1, 1, 1) * weights[chosen])
    last.get_parameter("bias").copy_(_THRESHOLD - gain * least[chosen])


def _adjust_regression(last: nn.Conv2d, features: Tensor, mean: Tensor, deviation: Tensor) -> None:
    values = last(features).transpose(0, 1).flatten(1)
    gain = deviation / values.std(dim=1).clamp_min(1e-6)
    last.weight.mul_(gain.reshape(-1, 1, 1, 1))
    last.get_parameter("bias").copy_(mean - gain * values.mean(dim=1))


def _distribution(config: CenterPointConfig, name: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every channel of a regression branch."""
    means, deviation = _OUTPUTS[name]
    mean, deviations = torch.tensor(means), torch.full((len(means),), deviation)
    if not config.has_variance:
        return mean, deviations
    log_variance, spread = _LOG_VARIANCE
    return (
        torch.cat([mean, torch.full_like(mean, log_variance)]),
        torch.cat([deviations, torch.full_like(deviations, spread)]),
    )


def _canvas(model: CenterPoint, seed: int) -> Tensor:
    """Canvases ``[2, F, ny, nx]`` of two sweeps, in the LiDAR's frame and in that of its foot."""
    pillars = [_pillars(model.config, seed, frame) for frame in range(2)]
    features = model.pts_voxel_encoder(torch.cat([features for features, _ in pillars]))
    parts = features.split([len(index) for _, index in pillars])
    return torch.cat([model.scatter(part, index) for part, (_, index) in zip(parts, pillars, strict=True)])


def _pillars(config: CenterPointConfig, seed: int, frame: int) -> tuple[Tensor, Tensor]:
    """Decorated points and canvas cells of the pillars of a sweep."""
    scene = SyntheticScene(seed)
    points = scene.sweep(10 * frame).points
    z = points["z"] + np.float32(frame * scene.lidar.height)
    columns = PointColumns(points["x"], points["y"], z, points["intensity"])
    pillars = Voxelizer(config).voxelize(PointCloudFrame.single(columns))
    cells = pillars.coordinates.astype(np.int64)
    index = cells[:, 0] * config.grid_size[0] + cells[:, 1]
    return torch.from_numpy(pillars.features.copy()), torch.from_numpy(index)


def _middle(canvas: Tensor) -> Tensor:
    height, width = canvas.shape[2:]
    top, left = max(0, height - _MAX_SIDE) // 2, max(0, width - _MAX_SIDE) // 2
    return canvas[:, :, top : top + _MAX_SIDE, left : left + _MAX_SIDE]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Write stand-in weights of a CenterPoint variant.")
    parser.add_argument("variant", help="name of a variant, e.g. demo")
    parser.add_argument("out", type=Path, help="checkpoint to write")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        write_checkpoint(parse_config({"variant": options.variant}), options.out, options.seed)
    except AwmlDeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
