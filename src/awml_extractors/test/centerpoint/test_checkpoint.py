from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from awml_deploy_core.errors import CheckpointError
from awml_extractors.centerpoint.checkpoint import load_checkpoint, read_state_dict
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


def test_mmengine_saves_averaged_weights_as_state_dict(tmp_path: Path) -> None:
    averaged, raw = weights(seed=1), weights(seed=2)
    content = {
        "message_hub": {},
        "state_dict": averaged,
        "ema_state_dict": {
            "steps": torch.tensor(9),
            **{f"module.{key}": value for key, value in raw.items()},
        },
    }
    path = save(tmp_path / "c.pth", content)
    assert_loaded(small(), path, averaged)
    assert_loaded(small(), path, raw, prefer_ema=False)


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
    before = torch.serialization.get_safe_globals()
    load_checkpoint(small(), save(tmp_path / "c.pth", weights()))
    assert torch.serialization.get_safe_globals() == before


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return exec, (f"open({str(self.target)!r}, 'w').close()",)


def test_pickled_code_is_refused_and_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    path = save(tmp_path / "c.pth", {"state_dict": weights(), "meta": Malicious(ran)})
    error = refused(small(), path)
    assert "not allowed" in error.problem
    assert error.got == "exec"
    assert not ran.exists()


class Innocent:
    def __init__(self) -> None:
        self.value = 1


def test_unknown_class_is_named(tmp_path: Path) -> None:
    error = refused(small(), save(tmp_path / "c.pth", {"state_dict": weights(), "meta": Innocent()}))
    assert str(error.got).endswith("test_checkpoint.Innocent")
    assert error.hint is not None
    assert "state_dict" in error.hint


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not a readable checkpoint"),
        (b"PK\x03\x04 nothing", "not a readable checkpoint"),
        (b"hello world\n" * 10, "not a readable checkpoint"),
        (b"\x80\x04.", "not a readable checkpoint"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "c.pth"
    path.write_bytes(content)
    assert problem in refused(small(), path).problem


def test_missing_file(tmp_path: Path) -> None:
    assert refused(small(), tmp_path / "c.pth").problem == "does not exist"


def test_folder(tmp_path: Path) -> None:
    assert "not a readable checkpoint" in refused(small(), tmp_path).problem


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("intact") / "c.pth"
    return save(path, {"state_dict": weights()}).read_bytes()


damage_settings = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(share=st.floats(0.0, 0.9999))
@damage_settings
def test_truncated_file_is_refused(tmp_path: Path, intact: bytes, share: float) -> None:
    path = tmp_path / "c.pth"
    path.write_bytes(intact[: int(share * len(intact))])
    assert "not a readable checkpoint" in refused(small(), path).problem


@given(position=st.integers(0, 20000), byte=st.integers(0, 255), old_format=st.booleans())
@damage_settings
def test_damaged_file_is_refused_or_loads(
    tmp_path: Path, intact: bytes, position: int, byte: int, old_format: bool
) -> None:
    path = tmp_path / "c.pth"
    if old_format:
        state = {"pts_neck.deblocks.0.0.weight": torch.zeros(16, 16, 1, 1)}
        torch.save(state, path, _use_new_zipfile_serialization=False)
        content = path.read_bytes()
    else:
        content = intact
    position %= len(content)
    path.write_bytes(content[:position] + bytes([byte]) + content[position + 1 :])
    try:
        read_state_dict(path)
    except CheckpointError as error:
        assert error.subject == str(path)


def test_a_changed_weight_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path / "c.pth", {"weight": torch.full((1000,), 0.1234)})
    content = bytearray(path.read_bytes())
    content[content.index(np.float32(0.1234).tobytes() * 3)] ^= 1
    path.write_bytes(content)
    assert "check sum" in str(refused(small(), path))


@pytest.mark.parametrize(
    ("content", "problem"),
    [([1, 2], "is not a checkpoint"), ({"epoch": 3}, "has no tensors"), ({}, "has no tensors")],
)
def test_content_without_weights_is_refused(tmp_path: Path, content: object, problem: str) -> None:
    assert refused(small(), save(tmp_path / "c.pth", content)).problem == problem


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
    state["pts_neck.deblocks.0.1.bias"] = torch.zeros(16, dtype=torch.int64)
    state["pts_neck.deblocks.0.1.weight"] = torch.full((16,), torch.nan)
    state["pts_backbone.extra"] = torch.zeros(2)
    problems = refused(small(), save(tmp_path / "c.pth", state)).problems
    assert sorted(problems) == [
        "pts_backbone.blocks.0.0.weight: missing, expected [16, 32, 3, 3]",
        "pts_backbone.extra: unexpected, shape [2]",
        "pts_bbox_head.shared_conv.bn.bias: shape [7], expected [32]",
        "pts_neck.deblocks.0.1.bias: dtype torch.int64, expected torch.float32",
        "pts_neck.deblocks.0.1.weight: contains NaN or infinity",
    ]


@pytest.mark.parametrize(
    ("trained", "configured", "hint"),
    [
        ({"head_kernel": 1}, {"head_kernel": 3}, "set head_kernel to 1"),
        ({"head_kernel": 3}, {"head_kernel": 1}, "set head_kernel to 3"),
        ({"has_variance": True}, {}, "set has_variance to true"),
        ({}, {"has_variance": True}, "set has_variance to false"),
        ({"center_offset_dims": 3}, {}, "C = 10 features a point, the configuration gives 9"),
        ({"class_names": ["CAR", "BUS"]}, {}, "trained for 2 classes, class_names has 5"),
        ({"neck_strides": [0.5, 1, 2]}, {}, "check neck_strides"),
        (
            {"neck_conv_for_no_stride": False, "neck_channels": [24, 16, 16]},
            {"neck_channels": [24, 16, 16]},
            "check neck_conv_for_no_stride",
        ),
        ({"pfn_channels": [32, 32]}, {}, "32 channels wide: check pfn_channels"),
    ],
)
def test_hint_at_the_right_variant(
    tmp_path: Path, trained: dict[str, Any], configured: dict[str, Any], hint: str
) -> None:
    path = save(tmp_path / "c.pth", weights(small(**trained)))
    error = refused(small(**configured), path)
    assert error.hint is not None
    assert hint in error.hint
    assert error.problems


def rename(state: State, old: str, new: str) -> State:
    return {key.replace(old, new): value for key, value in state.items()}


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda state: rename(state, "pts_backbone.blocks.", "pts_backbone.stages."), "is not SECOND"),
        (lambda state: {**state, **rename(state, "task_heads.0.", "task_heads.1.")}, "several tasks"),
        (lambda state: {k: v for k, v in state.items() if ".vel." not in k}, "no velocity branch"),
        (lambda state: rename(state, "pts_", "img_"), "another network"),
    ],
)
def test_hint_at_another_architecture(tmp_path: Path, change: Callable[[State], State], hint: str) -> None:
    error = refused(small(), save(tmp_path / "c.pth", change(weights())))
    assert error.hint is not None
    assert hint in error.hint
