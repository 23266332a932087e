"""A small deployment that defects are planted in, and its verification."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import yaml

from awml_deploy_core.config import load_config
from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.files import sha256_file
from awml_deploy_core.points import PointCloudFrame
from awml_deploy_core.runner.bisecting import BundleBisector
from awml_deploy_core.runner.deployment import DeploymentRunner
from awml_deploy_lab.evaluation.held_out import held_out_frames
from awml_deploy_lab.faults.outcome import Outcome

ENCODER, HEAD = "pts_voxel_encoder", "pts_backbone_neck_head"
PARAMETERS = "ml_package.param.yaml"
NUM_CLOUDS = 2
SHIPPED = "shipped"
"""The bundle that came with the checkpoint, in the sound deployment's folder."""
DEPLOY = """
name: fault_catalogue
model: {family: centerpoint, variant: demo}
checkpoint_path: checkpoint.pth
work_dir: .
runtime: {num_threads: 1}
verification:
  samples: [clouds]
  num_samples: -1
  scenarios: [{reference: "pytorch:cpu", test: "onnxruntime:cpu"}]
"""


def make_deployment(model: Path, folder: Path) -> Path:
    """A checkpoint, the bundle exported from it, two simulated clouds and their ``deploy.yaml``.

    Args:
        model: Folder of a shipped model of the variant ``demo``: ``checkpoint.pth``, ``bundle``.
        folder: A new one, which is returned.

    Raises:
        AwmlDeployError: The checkpoint cannot be exported.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(model / "checkpoint.pth", folder / "checkpoint.pth")
    shutil.copytree(model / "bundle", folder / SHIPPED)
    save_clouds(folder / "clouds", [frame for _, frame, _ in held_out_frames(NUM_CLOUDS, past_sweeps=0)])
    (folder / "deploy.yaml").write_text(DEPLOY)
    DeploymentRunner(load_config(folder / "deploy.yaml")).export()
    return folder


def save_clouds(folder: Path, frames: Sequence[PointCloudFrame]) -> None:
    """Write the current sweep of each frame to a new folder, as columns x, y, z, intensity."""
    folder.mkdir()
    for index, frame in enumerate(frames):
        columns = frame.sweeps[0].columns
        cloud = np.stack([columns.x, columns.y, columns.z, columns.intensity], axis=1)
        np.save(folder / f"cloud{index}.npy", cloud.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Deployment:
    """A copy of the sound deployment, and what is done to it."""

    folder: Path
    sound: Path
    """The deployment it is a copy of."""
    patches: ExitStack
    """Code that is exchanged while it is verified."""
    settings: list[str] = field(default_factory=list)
    """``key.sub=value`` of its configuration."""

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    def graph_path(self, component: str) -> Path:
        """The ONNX file of a component."""
        return self.bundle / f"{component}.onnx"

    def edit_graph(self, component: str, change: Callable[[onnx.ModelProto], Any]) -> None:
        """Change a graph as a careless tool would: what the manifest says of the file follows.

        Args:
            component: Whose graph.
            change: Changes the model in place, or returns another one.
        """
        path = self.graph_path(component)
        model = onnx.load(path)
        changed = change(model)
        onnx.save(changed if isinstance(changed, onnx.ModelProto) else model, path)
        self.record_files()

    def edit_parameters(self, file: str, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change a parameter file of the vehicle's node; the manifest follows."""
        path = self.bundle / file
        content = yaml.safe_load(path.read_text())
        change(content.get("/**", {}).get("ros__parameters", content))
        path.write_text(yaml.safe_dump(content))
        self.record_files()

    def edit_manifest(self, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change the manifest."""
        path = self.bundle / "manifest.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    def record_files(self) -> None:
        """Let the manifest say what the files are now."""

        def refresh(manifest: dict[str, Any]) -> None:
            for item in manifest["files"]:
                path = self.bundle / item["path"]
                item |= {"sha256": sha256_file(path), "size": path.stat().st_size}

        self.edit_manifest(refresh)

    def configure(self, **values: Any) -> None:
        """Set keys of ``model`` in the deploy.yaml."""
        self.settings.extend(
            f"model.{key.replace('__', '.')}={json.dumps(value)}" for key, value in values.items()
        )

    def replace_code(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Exchange a function or method, given what it is now, while this deployment is verified."""
        self.patches.enter_context(mock.patch.object(owner, name, make(getattr(owner, name))))

    def verify(self) -> Outcome:
        """What ``awml-deploy verify`` finds."""
        try:
            record = DeploymentRunner(load_config(self.folder / "deploy.yaml", self.settings)).verify()
        except AwmlDeployError as error:
            return Outcome.of_error(error)
        return Outcome.of_record(record)


@contextmanager
def copied(sound: Path, folder: Path) -> Iterator[Deployment]:
    """A copy of a deployment; code that is exchanged in it is put back afterwards.

    A graph that the search for a diverging tensor exports again is taken from the sound deployment,
    since it was exported from the same checkpoint.
    """

    def exported(_: BundleBisector, component: str, __: Path) -> Path:
        return sound / "bundle" / f"{component}.onnx"

    shutil.copytree(sound / "bundle", folder / "bundle")
    for name in ("checkpoint.pth", "clouds"):
        (folder / name).symlink_to(sound / name)
    shutil.copy(sound / "deploy.yaml", folder / "deploy.yaml")
    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(BundleBisector, "_export", exported))
        yield Deployment(folder, sound, patches)
