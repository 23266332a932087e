from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points as installed_entry_points
from pathlib import Path
from typing import Any

import pytest
from toy_family import ToyFamily, write_checkpoint, write_clouds

from awml_deploy_core.components import ComponentSpec, DynamicAxis, ExportableComponent, TensorSpec
from awml_deploy_core.config import LoadedConfig, load_mapping
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import BackendUnavailableError, MissingDependencyError
from awml_deploy_core.runtime.cuda import CudaContext

DEFAULT_ASSETS = Path(__file__).resolve().parents[4] / "shared" / "assets"

VOXELS = DynamicAxis("num_voxels", 1, 100, 1000)


@pytest.fixture(scope="session")
def assets() -> Path:
    """Folder of real clouds, bags and models, which the repository does not contain."""
    folder = Path(os.environ.get("AWML_DEPLOY_TEST_ASSETS", DEFAULT_ASSETS))
    if not folder.is_dir():
        pytest.skip(f"no test assets at {folder}; set AWML_DEPLOY_TEST_ASSETS")
    return folder


@pytest.fixture(scope="session")
def conv_spec() -> ComponentSpec:
    """Image to a heatmap of half the size and a regression map of the full size."""
    return ComponentSpec(
        "head",
        "head.onnx",
        (TensorSpec("canvas", (1, 4, 16, 12)),),
        (TensorSpec("heatmap", (1, 3, 8, 6)), TensorSpec("reg", (1, 2, 16, 12))),
    )


@pytest.fixture(scope="session")
def mlp_spec() -> ComponentSpec:
    """Points of a varying number of voxels to one feature vector a voxel."""
    return ComponentSpec(
        "encoder",
        "encoder.onnx",
        (TensorSpec("input_features", (VOXELS, 8, 9)),),
        (TensorSpec("pillar_features", (VOXELS, 1, 16)),),
    )


@pytest.fixture(scope="session")
def conv_component(conv_spec: ComponentSpec) -> ExportableComponent:
    """Convolution and transposed convolution, each with batch normalisation; two outputs."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Head(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
            self.up = nn.Sequential(
                nn.ConvTranspose2d(8, 8, 2, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU()
            )
            self.heatmap = nn.Conv2d(8, 3, 1)
            self.reg = nn.Conv2d(8, 2, 3, padding=1)

        def forward(self, canvas: Any) -> tuple[Any, Any]:
            features = self.down(canvas)
            return self.heatmap(features), self.reg(self.up(features))

    torch.manual_seed(0)
    return ExportableComponent(
        conv_spec, _with_statistics(Head()), (torch.randn(1, 4, 16, 12),), {"convention": "wlh"}
    )


@pytest.fixture(scope="session")
def mlp_component(mlp_spec: ComponentSpec) -> ExportableComponent:
    """Linear, batch normalisation and a maximum over points, like a pillar feature net."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Encoder(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(9, 16, bias=False)
            self.norm = nn.BatchNorm1d(16, eps=1e-3)

        def forward(self, points: Any) -> Any:
            features = self.norm(self.linear(points).permute(0, 2, 1)).permute(0, 2, 1)
            return torch.relu(features).max(dim=1, keepdim=True)[0]

    torch.manual_seed(1)
    return ExportableComponent(mlp_spec, _with_statistics(Encoder()), (torch.randn(20, 8, 9),))


def _with_statistics(module: Any) -> Any:
    """Random running statistics: the initial ones would hide a batch normalisation left out."""
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_()
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    return module.eval()


@dataclass(frozen=True)
class FakeEntryPoint:
    name: str
    plugin: Any
    dist: None = None

    @property
    def value(self) -> str:
        return f"test:{self.name}"

    def load(self) -> Any:
        return self.plugin


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ToyFamily:
    """Installs the toy model family beside the installed ones."""

    def entry_points(*, group: str, **chosen: str) -> list[Any]:
        found = list(installed_entry_points(group=group, **chosen))
        return [*found, FakeEntryPoint("toy", ToyFamily)] if group == "awml_deploy.models" else found

    monkeypatch.setattr("awml_deploy_core.packages.entry_points", entry_points)
    return ToyFamily()


@pytest.fixture
def clouds(tmp_path: Path) -> Path:
    """A folder of three small clouds."""
    folder = tmp_path / "clouds"
    write_clouds(folder)
    return folder


@pytest.fixture(scope="session")
def conv_file(conv_component: ExportableComponent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The convolution component as an ONNX file."""
    return _exported(conv_component, tmp_path_factory)


@pytest.fixture(scope="session")
def mlp_file(mlp_component: ExportableComponent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder component as an ONNX file."""
    return _exported(mlp_component, tmp_path_factory)


def _exported(component: ExportableComponent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from awml_deploy_core.export.onnx_exporter import OnnxExporter

    return OnnxExporter().export(component, tmp_path_factory.mktemp("onnx")).path


@pytest.fixture
def loaded(tmp_path: Path, toy: ToyFamily, clouds: Path) -> LoadedConfig:
    """A deployment of the toy family whose bundle is yet to be exported."""
    write_checkpoint(tmp_path / "weights.pth")
    content = {
        "name": "demo",
        "model": {"family": "toy"},
        "checkpoint_path": "weights.pth",
        "work_dir": "out",
        "export": {"onnx": {"simplify": False, "graph_capture": "torchscript"}},
        "verification": {"samples": [str(clouds)]},
    }
    return load_mapping(content, tmp_path)


@pytest.fixture
def gpu() -> Iterator[CudaContext]:
    """The first GPU; without one the test is skipped with the reason."""
    try:
        context = CudaContext(DeviceSpec("cuda"))
    except (BackendUnavailableError, MissingDependencyError) as error:
        pytest.skip(f"needs a GPU: {error}")
    yield context
    context.close()
