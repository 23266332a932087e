from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_extractors.centerpoint.checkpoint import load_checkpoint
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.model import CenterPoint
from awml_extractors.centerpoint.pillars import Voxelizer
from awml_extractors.centerpoint.seeded import main, seeded_model
from awml_extractors.centerpoint.variants import parse_config
from awml_extractors.datasets.synthetic import SyntheticScene


@pytest.fixture(scope="module")
def demo() -> CenterPoint:
    return seeded_model(parse_config({"variant": "demo"}), 0)


def run(model: CenterPoint, points: np.ndarray) -> dict[str, torch.Tensor]:
    config = model.config
    frame = PointCloudFrame.single(PointColumns.from_array(points))
    pillars = Voxelizer(config).voxelize(frame)
    cells = pillars.coordinates.astype(np.int64) @ [config.grid_size[0], 1]
    with torch.no_grad():
        outputs = model(torch.from_numpy(pillars.features.copy()), torch.from_numpy(cells))
    return dict(zip(config.head_outputs, outputs, strict=True))


def synthetic(seed: int) -> np.ndarray:
    points = SyntheticScene(seed).sweep(30).points
    return np.stack([points[name].astype(np.float32) for name in ("x", "y", "z", "intensity")], axis=1)


def test_number_of_cells_above_the_threshold_is_plausible(demo: CenterPoint) -> None:
    for seed in (0, 3):
        outputs = run(demo, synthetic(seed))
        passing = torch.sigmoid(outputs["heatmap"]).amax(dim=1) >= 0.35
        clear = outputs["rot"].norm(dim=1) >= 0.3
        assert 10 <= int((passing & clear).sum()) <= 200


def test_number_of_cells_on_real_clouds(demo: CenterPoint, assets: Path) -> None:
    for name in ("000001", "000008", "000024"):
        points = np.fromfile(assets / f"kitti/velodyne/{name}.bin", np.float32).reshape(-1, 4)
        passing = torch.sigmoid(run(demo, points)["heatmap"]).amax(dim=1) >= 0.35
        assert 5 <= int(passing.sum()) <= 300


def test_boxes_have_the_size_of_vehicles(demo: CenterPoint) -> None:
    outputs = run(demo, synthetic(0))
    cell = outputs["heatmap"].amax(dim=1)[0].flatten().topk(20).indices
    sizes = outputs["dim"][0].flatten(1)[:, cell].exp()
    assert ((sizes > 0.5) & (sizes < 12.0)).all()
    assert outputs["reg"].abs().max() < 10.0


def test_same_seed_same_weights_and_other_seed_other_weights(demo: CenterPoint) -> None:
    config = parse_config({"variant": "demo"})
    again, other = seeded_model(config, 0).state_dict(), seeded_model(config, 1).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in demo.state_dict().items())
    assert not torch.equal(again["pts_backbone.blocks.0.0.weight"], other["pts_backbone.blocks.0.0.weight"])


def test_global_random_state_is_left_alone() -> None:
    config = parse_config({"variant": "demo", "point_cloud_range": (-10.24, -10.24, -4, 10.24, 10.24, 4)})
    seeded_model(config, 0)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    seeded_model(config, 0)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("changes", [{"has_variance": True}, {"head_kernel": 3}, {"class_names": ["CAR"]}])
def test_every_head_can_be_seeded(changes: dict[str, object]) -> None:
    config = parse_config(
        {"variant": "demo", "point_cloud_range": (-20.48, -20.48, -4, 20.48, 20.48, 4), **changes}
    )
    assert all(torch.isfinite(value).all() for value in seeded_model(config, 0).state_dict().values())


def test_command_line_writes_a_checkpoint(tmp_path: Path, demo: CenterPoint) -> None:
    first, second = tmp_path / "a" / "c.pth", tmp_path / "b" / "c.pth"
    assert main(["demo", str(first)]) == 0
    assert main(["demo", str(second), "--seed", "0"]) == 0
    assert first.read_bytes() == second.read_bytes()
    loaded = load_checkpoint(parse_config({"variant": "demo"}), first).state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in demo.state_dict().items())


def test_unknown_variant_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nope", str(tmp_path / "c.pth")]) == 1
    assert "unknown variant" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["demo", str(tmp_path / "file" / "c.pth")]) == 1
    assert "c.pth: cannot be written" in capsys.readouterr().err


def test_configuration_of_the_model_is_kept(demo: CenterPoint) -> None:
    assert isinstance(demo.config, CenterPointConfig)
    assert not demo.training
