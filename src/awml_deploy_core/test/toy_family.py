"""The smallest complete model family: an example of what a new model brings, and a fake for tests.

Each point becomes a candidate box: an encoder lifts points to features, a head turns features into
a box and class scores, decoding keeps what scores high enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from awml_deploy_core.components import ComponentSpec, DynamicAxis, ExportableComponent, TensorSpec
from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import CheckpointError, ConfigError, DatasetError, ParameterError
from awml_deploy_core.family import Sample
from awml_deploy_core.pipeline import InferencePipeline, StageClock, TensorTap
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_core.runtime.session import Session
from awml_deploy_core.validation import problem_clauses

if TYPE_CHECKING:
    import torch

BUNDLE_FILE = "toy.yaml"


class ToyConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = 8
    class_names: tuple[str, ...] = ("CAR", "BICYCLE")
    max_points: int = 4096


class ToyPipeline(InferencePipeline[PointCloudFrame, Detections]):
    def __init__(self, config: ToyConfig, sessions: Mapping[str, Session], threshold: float) -> None:
        self._config = config
        self._sessions = dict(sessions)
        self._threshold = threshold

    @property
    def sessions(self) -> tuple[Session, ...]:
        return self._sessions["encoder"], self._sessions["head"]

    def with_options(self, options: Mapping[str, Any]) -> ToyPipeline:
        return ToyPipeline(self._config, self._sessions, _threshold(options))

    def _infer(
        self, sample: PointCloudFrame, clock: StageClock, tap: TensorTap | None
    ) -> tuple[Detections, Mapping[str, int]]:
        encoder, head = self.sessions
        with clock.stage("decode"):
            columns = sample.sweeps[0].columns
            points = np.stack([columns.x, columns.y, columns.z], axis=1).astype(np.float32)
        counts = {"points_in": len(points)}
        if not len(points):
            return Detections.empty(self._config.class_names), counts
        with clock.stage("encode"):
            features = self._run_session(encoder, {"points": points}, tap)["features"]
        with clock.stage("backbone_head"):
            out = self._run_session(head, {"features": features}, tap)
        with clock.stage("decode_boxes"):
            return self._decode(points, out), counts

    def _decode(self, points: np.ndarray, out: Mapping[str, np.ndarray]) -> Detections:
        scores = 1 / (1 + np.exp(-out["scores"]))
        labels = scores.argmax(axis=1)
        best = scores.max(axis=1)
        keep = np.flatnonzero(best >= self._threshold)
        keep = keep[np.argsort(-best[keep], kind="stable")]
        box = out["boxes"][keep]
        return Detections(
            points[keep],
            np.exp(box[:, :3]),
            np.arctan2(box[:, 3], box[:, 4]),
            np.zeros((len(keep), 2), np.float32),
            best[keep],
            labels[keep].astype(np.int32),
            self._config.class_names,
        )


class ToySamples(Sequence[Sample]):
    """Clouds [N, 3+] in .npy files."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        path = self._files[index]
        try:
            points = np.load(path)
        except ValueError as error:
            raise DatasetError(path, "is not a cloud", got=error) from None
        return Sample(path.stem, PointCloudFrame.single(PointColumns.from_array(points)))


class ToyExtractor:
    def __init__(self, specs: Sequence[ComponentSpec]) -> None:
        self._specs = specs

    def extract(self, model: torch.nn.Module) -> tuple[ExportableComponent, ...]:
        import torch

        encoder, head = self._specs
        points = torch.zeros(16, 3)
        features = torch.zeros(16, head.inputs[0].shape[1])
        return (
            ExportableComponent(encoder, model.encoder, (points,)),
            ExportableComponent(head, model.head, (features,)),
        )


class ToyFamily:
    @property
    def name(self) -> str:
        return "toy"

    @property
    def task(self) -> str:
        return "detection3d"

    def parse_config(self, raw: Mapping[str, Any]) -> ToyConfig:
        try:
            return ToyConfig.model_validate(dict(raw))
        except ValidationError as error:
            raise ConfigError("model", "is invalid", problems=problem_clauses(error, ToyConfig)) from None

    def dump_config(self, config: ToyConfig) -> dict[str, Any]:
        return config.model_dump(mode="json")

    def component_specs(self, config: ToyConfig) -> tuple[ComponentSpec, ...]:
        n = DynamicAxis("num_points", 1, 64, config.max_points)
        return (
            ComponentSpec(
                "encoder",
                "encoder.onnx",
                (TensorSpec("points", (n, 3)),),
                (TensorSpec("features", (n, config.channels)),),
            ),
            ComponentSpec(
                "head",
                "head.onnx",
                (TensorSpec("features", (n, config.channels)),),
                (TensorSpec("boxes", (n, 5)), TensorSpec("scores", (n, len(config.class_names)))),
            ),
        )

    def load_model(self, config: ToyConfig, checkpoint: Path) -> torch.nn.Module:
        import torch

        model = _network(config)
        try:
            model.load_state_dict(torch.load(checkpoint, weights_only=True))
        except RuntimeError as error:
            raise CheckpointError(checkpoint, "does not fit", got=error) from None
        return model.eval()

    def extractor(self, config: ToyConfig) -> ToyExtractor:
        return ToyExtractor(self.component_specs(config))

    def write_bundle_files(self, config: ToyConfig, folder: Path) -> None:
        (folder / BUNDLE_FILE).write_text(config.model_dump_json())

    def read_bundle(self, folder: Path) -> ToyConfig | None:
        path = folder / BUNDLE_FILE
        return ToyConfig.model_validate_json(path.read_text()) if path.exists() else None

    def check_options(self, config: ToyConfig, options: Mapping[str, Any]) -> None:
        _threshold(options)

    def create_pipeline(
        self, config: ToyConfig, sessions: Mapping[str, Session], options: Mapping[str, Any]
    ) -> ToyPipeline:
        return ToyPipeline(config, sessions, _threshold(options))

    def open_samples(
        self,
        source: str,
        limit: int | None = None,
        *,
        config: ToyConfig | None = None,
        num_past_sweeps: int = 0,
        class_mapping: Mapping[str, str] | None = None,
    ) -> ToySamples:
        path = Path(source)
        if not path.exists():
            raise DatasetError(path, "no such file or folder")
        files = sorted(path.glob("*.npy")) if path.is_dir() else [path]
        return ToySamples(files[:limit])


def write_checkpoint(path: Path, config: ToyConfig | None = None) -> None:
    """A checkpoint with a fixed seed."""
    import torch

    torch.manual_seed(0)
    torch.save(_network(config or ToyConfig()).state_dict(), path)


def write_clouds(folder: Path, count: int = 3) -> None:
    """Clouds with a fixed seed."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        np.save(folder / f"cloud{i}.npy", rng.uniform(-20, 20, (40 + i, 4)).astype(np.float32))


def _threshold(options: Mapping[str, Any]) -> float:
    if unknown := sorted(set(options) - {"threshold"}):
        raise ParameterError("options", "unknown option", got=", ".join(unknown), expected="threshold")
    return float(options.get("threshold", 0.5))


def _network(config: ToyConfig) -> torch.nn.Module:
    from torch import Tensor, nn

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.boxes = nn.Linear(config.channels, 5)
            self.scores = nn.Linear(config.channels, len(config.class_names))

        def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
            return self.boxes(features), self.scores(features)

    model = nn.Module()
    model.encoder = nn.Sequential(nn.Linear(3, config.channels), nn.ReLU())
    model.head = Head()
    return model
