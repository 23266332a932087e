"""Rays on a GPU against rays on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from awml_deploy_lab.simulation.drive import SimulatedDrive
from awml_deploy_lab.simulation.rays import Revolution, RevolutionTables, cast
from awml_deploy_lab.simulation.view import make_view

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


def tables() -> RevolutionTables:
    revolutions = []
    for seed in range(6):
        drive = SimulatedDrive(seed, duration=1.0)
        view = make_view(drive.street, drive.lidar, 0.5)
        revolutions.append(Revolution(view, drive.street.rows, drive.lidar, seed + 1))
    return RevolutionTables.of(revolutions)


def test_rays_meet_the_same_on_the_gpu() -> None:
    on_cpu = cast(tables())
    on_gpu = cast(tables().to(torch.device("cuda")))
    same = (on_gpu.body.cpu() == on_cpu.body).numpy()
    near = (on_gpu.distance.cpu() - on_cpu.distance).abs().numpy() < 0.01
    shade = (on_gpu.reflectivity.cpu() - on_cpu.reflectivity).abs().numpy() < 1e-6
    # Rays that only just meet an edge go either way.
    assert np.mean(same & near & shade) > 0.9995
    for name in ("sweep", "column", "beam"):
        assert torch.equal(getattr(on_gpu, name).cpu(), getattr(on_cpu, name))


def test_the_gpu_gives_the_same_bits_twice() -> None:
    device = torch.device("cuda")
    first, second = cast(tables().to(device)), cast(tables().to(device))
    for name in ("distance", "body", "reflectivity"):
        assert torch.equal(getattr(first, name), getattr(second, name))
