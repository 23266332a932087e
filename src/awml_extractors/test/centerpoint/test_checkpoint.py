from __future__ import annotations

import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from awml_deploy_core.errors import CheckpointError
from awml_extractors.centerpoint.checkpoint import load_checkpoint
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.model import CenterPoint
from awml_extractors.centerpoint.variants import parse_config

State = dict[str, torch.Tensor]


def small(**changes: Any) -> CenterPointConfig:
    return parse_config(
        {"variant": "demo", "point_cloud_range": (-5.12, -5.12, -4.0, 5.12, 5.12, 4.0), **changes}
    )


def weights(config: CenterPointConfig | None = None, seed: int = 0) -> State:
    torch.manual_seed(seed)
    return CenterPoint(config or small()).state_dict()


def save(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def refused(config: CenterPointConfig, path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(config, path)
    assert caught.value.subject == str(path)
    return caught.value


def assert_loaded(config: CenterPointConfig, path: Path, state: State, **options: Any) -> None:
    model = load_checkpoint(config, path, **options)
    assert not model.training
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key]), key


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "meta": {"epoch": 3}},
        lambda state: {"model": state},
        lambda state: {"state_dict": OrderedDict((f"module.{k}", v) for k, v in state.items())},
        lambda state: {"state_dict": {f"model.{k}": v for k, v in state.items()}},
        lambda state: {"state_dict": {f"module.detector.{k}": v for k, v in state.items()}},
    ],
    ids=["bare", "state_dict", "model", "DistributedDataParallel", "wrapped", "two wrappers"],
)
def test_nesting_and_prefixes(tmp_path: Path, wrap: Callable[[State], object]) -> None:
    state = weights()
    assert_loaded(small(), save(tmp_path / "c.pth", wrap(state)), state)


def test_old_file_format(tmp_path: Path) -> None:
    state = weights()
    path = tmp_path / "c.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    assert_loaded(small(), path, state)


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    state = {key: value.half() if value.is_floating_point() else value for key, value in weights().items()}
    model = load_checkpoint(small(), save(tmp_path / "c.pth", state))
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_step_counters_may_be_missing(tmp_path: Path) -> None:
    state = {key: v for key, v in weights().items() if not key.endswith("num_batches_tracked")}
    load_checkpoint(small(), save(tmp_path / "c.pth", state))


def test_entries_of_training_are_ignored(tmp_path: Path) -> None:
    extra = {"data_preprocessor.mean": torch.zeros(3), "pts_bbox_head.loss_cls.weight": torch.ones(5)}
    assert_loaded(small(), save(tmp_path / "c.pth", {**weights(), **extra}), weights())


@pytest.mark.parametrize("extra", [{"message_hub": {}}, {}], ids=["whole", "stripped"])
def test_mmengine_saves_averaged_weights_as_state_dict(tmp_path: Path, extra: dict[str, Any]) -> None:
    averaged, raw = weights(seed=1), weights(seed=2)
    content = {
        **extra,
        "state_dict": averaged,
        "ema_state_dict": {
            "steps": torch.tensor(9),
            **{f"module.{key}": value for key, value in raw.items()},
        },
    }
    path = save(tmp_path / "c.pth", content)
    assert_loaded(small(), path, averaged)
    assert_loaded(small(), path, raw, prefer_ema=False)


def test_torch_saves_averaged_weights_as_what_they_are(tmp_path: Path) -> None:
    model = CenterPoint(small())
    model.load_state_dict(weights(seed=1))
    averaged = torch.optim.swa_utils.AveragedModel(model).state_dict()
    assert "n_averaged" in averaged
    raw = weights(seed=2)
    path = save(tmp_path / "c.pth", {"state_dict": raw, "ema_state_dict": averaged, "message_hub": {}})
    assert_loaded(small(), path, weights(seed=1))
    assert_loaded(small(), path, raw, prefer_ema=False)
    assert_loaded(small(), save(tmp_path / "alone.pth", averaged), weights(seed=1))


def test_ema_state_dict_of_others_is_what_it_says(tmp_path: Path) -> None:
    averaged, raw = weights(seed=1), weights(seed=2)
    path = save(tmp_path / "c.pth", {"state_dict": raw, "ema_state_dict": averaged})
    assert_loaded(small(), path, averaged)
    assert_loaded(small(), path, raw, prefer_ema=False)


class HistoryBuffer:
    """As mmengine's: its state holds arrays and methods of its own."""

    def __init__(self) -> None:
        self.__dict__.update(
            _log_history=np.arange(3.0), _count_history=np.ones(3), stat={"min": HistoryBuffer.least}
        )

    def least(self) -> None: ...


class ConfigDict(dict[str, Any]):
    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (dict(self),)


@pytest.fixture
def mmengine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the two classes pickle under mmengine's names."""
    for package in ("mmengine", "mmengine.logging", "mmengine.config"):
        monkeypatch.setitem(sys.modules, package, ModuleType(package))
    monkeypatch.setattr(HistoryBuffer.least, "__module__", "mmengine.logging.history_buffer")
    for module, cls in (
        ("mmengine.logging.history_buffer", HistoryBuffer),
        ("mmengine.config.config", ConfigDict),
    ):
        fake = ModuleType(module)
        setattr(fake, cls.__name__, cls)
        monkeypatch.setitem(sys.modules, module, fake)
        monkeypatch.setattr(cls, "__module__", module)


def mmengine_checkpoint(state: State) -> dict[str, Any]:
    return {
        "meta": {"cfg": "model = dict()", "dataset_meta": ConfigDict(classes=["car"]), "seed": 0},
        "state_dict": OrderedDict(state),
        "message_hub": {
            "log_scalars": OrderedDict(loss=HistoryBuffer()),
            "runtime_info": OrderedDict(best=np.float64(0.5)),
        },
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-3}]},
    }


@pytest.mark.usefixtures("mmengine")
def test_mmengine_log_loads_without_mmengine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = weights()
    path = save(tmp_path / "c.pth", mmengine_checkpoint(state))
    assert "builtins.getattr" in torch.serialization.get_unsafe_globals_in_checkpoint(path)
    for module in [name for name in sys.modules if name.startswith("mmengine")]:
        monkeypatch.delitem(sys.modules, module)
    assert_loaded(small(), path, state)
    assert not any(name.startswith("mmengine") for name in sys.modules)


def test_allowed_names_are_scoped_to_the_loading(tmp_path: Path) -> None:
    before = set(torch.serialization.get_safe_globals())
    load_checkpoint(small(), save(tmp_path / "c.pth", weights()))
    assert set(torch.serialization.get_safe_globals()) == before


def test_two_copies_of_the_network_are_refused(tmp_path: Path) -> None:
    state = weights()
    content = {
        **{f"student.{k}": v for k, v in state.items()},
        **{f"teacher.{k}": v for k, v in state.items()},
    }
    error = refused(small(), save(tmp_path / "c.pth", content))
    assert "several copies" in error.problem
    assert error.got == "prefixes 'student.', 'teacher.'"


def test_every_deviation_is_listed(tmp_path: Path) -> None:
    state = weights()
    del state["pts_backbone.blocks.0.0.weight"]
    state["pts_bbox_head.shared_conv.bn.bias"] = torch.zeros(7)
    state["pts_neck.deblocks.0.1.bias"] = torch.zeros(32, dtype=torch.int64)
    state["pts_neck.deblocks.0.1.weight"] = torch.full((32,), torch.nan)
    state["pts_neck.deblocks.1.1.running_var"][3] = -0.5
    state["pts_backbone.extra"] = torch.zeros(2)
    problems = refused(small(), save(tmp_path / "c.pth", state)).problems
    assert sorted(problems) == [
        "pts_backbone.blocks.0.0.weight: missing, expected [32, 32, 3, 3]",
        "pts_backbone.extra: unexpected, shape [2]",
        "pts_bbox_head.shared_conv.bn.bias: shape [7], expected [32]",
        "pts_neck.deblocks.0.1.bias: dtype torch.int64, expected torch.float32",
        "pts_neck.deblocks.0.1.weight: contains NaN or infinity",
        "pts_neck.deblocks.1.1.running_var: contains negative variances",
    ]


def test_a_recognised_cause_is_in_the_error(tmp_path: Path) -> None:
    error = refused(small(), save(tmp_path / "c.pth", weights(small(head_kernel=3))))
    assert error.hint == "The branches' kernel is 3: set head_kernel to 3."
    assert "heatmap.1.weight" in str(error)


class Code:
    """Pickles as a call of a function."""

    def __reduce__(self) -> Any:
        return print, ("called",)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "content",
    [b"\x80\x02garbage", b"\x80\x04K\x01.", b"not a pickle", pickle.dumps(Code(), protocol=4)],
    ids=["damaged", "number", "text", "code"],
)
def test_errors_do_not_advise_to_load_unsafely(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.pth"
    path.write_bytes(content)
    error = refused(small(), path)
    assert "weights_only" not in str(error)
    assert len(str(error).splitlines()) == 1
    assert error.__suppress_context__


@pytest.mark.filterwarnings("error")
def test_another_pickle_protocol_is_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    torch.save(weights(), path, pickle_protocol=4)
    error = refused(small(), path)
    assert "Unsupported operand" in str(error.got)
    assert "protocol" in str(error.hint)
