from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import BackendUnavailableError, MissingDependencyError
from awml_deploy_core.runtime.cuda import CudaContext

DEFAULT_ASSETS = Path(__file__).resolve().parents[4] / "shared" / "assets"


@pytest.fixture(scope="session")
def assets() -> Path:
    """Folder of real clouds, bags and models, which the repository does not contain."""
    folder = Path(os.environ.get("AWML_DEPLOY_TEST_ASSETS", DEFAULT_ASSETS))
    if not folder.is_dir():
        pytest.skip(f"no test assets at {folder}; set AWML_DEPLOY_TEST_ASSETS")
    return folder


@pytest.fixture(scope="session")
def photographs() -> tuple[Path, ...]:
    """Colour photographs of several sizes that scikit-image ships; the package itself is not imported."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        pytest.skip("no photographs: scikit-image is not installed")
    names = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
    return tuple(Path(spec.origin).parent / "data" / name for name in names)


@pytest.fixture
def gpu() -> Iterator[CudaContext]:
    """The first GPU; without one the test is skipped with the reason."""
    try:
        context = CudaContext(DeviceSpec("cuda"))
    except (BackendUnavailableError, MissingDependencyError) as error:
        pytest.skip(f"needs a GPU: {error}")
    yield context
    context.close()
