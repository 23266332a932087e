"""Boxes at known places, and that they find what is wrong with a decoder."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from yolox_weights import SMALL, make_model

from awml_deploy_core.device import CPU
from awml_deploy_core.errors import ExportError
from awml_deploy_core.family import Probe, ProvidesProbes
from awml_deploy_core.verification import Status
from awml_deploy_core.verification.probing import Decoder, run_probes
from awml_extractors.yolox import decode, letterbox, selection
from awml_extractors.yolox import model as network
from awml_extractors.yolox.extractor_probe import extractor_probes
from awml_extractors.yolox.family import YoloxFamily

FAMILY = YoloxFamily()


def failures(raw: dict[str, Any], decoder: dict[str, Any] | None = None) -> list[str]:
    """Probes of a configuration that do not pass through a decoder of another."""
    config = FAMILY.parse_config(raw)
    return judged(FAMILY.probes(config), {**raw, **(decoder or {})})


def judged(probes: Sequence[Probe], raw: dict[str, Any]) -> list[str]:
    decoders = [Decoder("bundle", FAMILY.parse_config(raw), CPU)]
    checks = list(run_probes(FAMILY, probes, decoders))
    assert len(checks) >= len(probes)
    return [f"{check.name}: {check.message}" for check in checks if check.status is not Status.PASSED]


@pytest.mark.parametrize(
    "raw",
    [
        SMALL,
        {},
        {"input_size": [32, 32]},
        {"input_size": [64, 352], "batch_size": [2, 3, 6]},
        {"input_size": [416, 640], "class_names": [f"class {index}" for index in range(80)]},
        {"class_names": ["any"], "input_size": [320, 320]},
    ],
)
def test_every_box_comes_back(raw: dict[str, Any]) -> None:
    assert isinstance(FAMILY, ProvidesProbes)
    assert not failures(raw)


def test_other_geometry_or_classes_are_found() -> None:
    names = list(FAMILY.parse_config({}).class_names)
    swapped = [*names[:2][::-1], *names[2:]]
    assert "class names" in failures(SMALL, {"class_names": swapped})[0]
    assert failures(SMALL, {"class_names": names[:-1]})
    assert failures(SMALL, {"input_size": [320, 640]})


def _wrong_decoder(change: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Any]:
    right = decode.Decoder.decode
    return lambda self, output, *args, **keys: right(self, change(output.copy()), *args, **keys)


def _columns(order: list[int]) -> Callable[..., Any]:
    return _wrong_decoder(lambda output: output[:, [*order, *range(len(order), output.shape[1])]])


def _wrong_grid(change: Callable[[Any], None]) -> Callable[..., Any]:
    right = decode.Decoder.__init__

    def made(self: Any, config: Any) -> None:
        right(self, config)
        change(self)

    return made


def _ignored_objectness(output: np.ndarray) -> np.ndarray:
    output[:, 4] = 1.0
    return output


def _rolled_classes(output: np.ndarray) -> np.ndarray:
    output[:, 5:] = np.roll(output[:, 5:], 1, axis=1)
    return output


def _half_a_cell(self: Any) -> None:
    self._grid = self._grid + np.float32(0.5)


def _columns_first(self: Any) -> None:
    self._grid = self._grid[:, ::-1]


def _strides_reversed(self: Any) -> None:
    self._strides = self._strides[::-1]


def _not_scaled_back(self: Any, boxes: np.ndarray, margin: float = 0.0) -> np.ndarray:
    return np.clip(boxes, 0, [self.width, self.height] * 2).astype(np.float32)


def _rgb(self: Any, image: Any, input_size: Any) -> np.ndarray:
    return RIGHT_INPUT(self, image, input_size)[:, ::-1]


def _black_border(self: Any, image: Any, input_size: Any) -> np.ndarray:
    made = RIGHT_INPUT(self, image, input_size)
    made[made == letterbox.GREY] = 0
    return made


def _stretched(cls: Any, width: int, height: int, input_size: tuple[int, int]) -> letterbox.Letterbox:
    return letterbox.Letterbox(width, height, *input_size[::-1], input_size[1] / width)


def _centred(self: Any, image: Any, input_size: Any) -> np.ndarray:
    return np.roll(RIGHT_INPUT(self, image, input_size), 16, axis=2)


RIGHT_INPUT = letterbox.Letterbox.make_input

FAULTS: dict[str, tuple[Any, str, Any]] = {
    "x and y swapped": (decode.Decoder, "decode", _columns([1, 0, 2, 3])),
    "w and h swapped": (decode.Decoder, "decode", _columns([0, 1, 3, 2])),
    "size before centre": (decode.Decoder, "decode", _columns([2, 3, 0, 1])),
    "objectness ignored": (decode.Decoder, "decode", _wrong_decoder(_ignored_objectness)),
    "classes shifted": (decode.Decoder, "decode", _wrong_decoder(_rolled_classes)),
    "centre of the cell": (decode.Decoder, "__init__", _wrong_grid(_half_a_cell)),
    "grid by columns": (decode.Decoder, "__init__", _wrong_grid(_columns_first)),
    "order of strides": (decode.Decoder, "__init__", _wrong_grid(_strides_reversed)),
    "boxes not scaled back": (letterbox.Letterbox, "to_image", _not_scaled_back),
    "red, green, blue": (letterbox.Letterbox, "make_input", _rgb),
    "black border": (letterbox.Letterbox, "make_input", _black_border),
    "image stretched": (letterbox.Letterbox, "of", classmethod(_stretched)),
    "image centred": (letterbox.Letterbox, "make_input", _centred),
    "suppression regardless of class": (
        selection,
        "suppress_by_class",
        lambda boxes, labels, threshold, limit: selection.suppress(boxes, threshold, limit),
    ),
    "suppression by half the threshold": (
        selection,
        "suppress",
        lambda boxes, threshold, limit: RIGHT_SUPPRESS(boxes, threshold / 2, limit),
    ),
}
RIGHT_SUPPRESS = selection.suppress


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, wrong = FAULTS[fault]
    monkeypatch.setattr(where, name, wrong)
    assert failures(SMALL)


def _probes_of(model: torch.nn.Module) -> Sequence[Probe]:
    return extractor_probes(FAMILY.parse_config(SMALL), model)


def test_extracted_network_says_the_boxes() -> None:
    model = make_model(SMALL)
    before = copy.deepcopy(model.state_dict())
    assert not judged(_probes_of(model), SMALL)
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    with pytest.raises(ExportError, match="Yolox"):
        _probes_of(torch.nn.Identity())


def _levels_reversed(self: Any, maps: Any) -> torch.Tensor:
    sizes = [features.shape[2] * features.shape[3] for features in maps]
    return torch.cat(RIGHT_HEAD(self, maps).split(sizes, dim=1)[::-1], dim=1)


def _sigmoid_twice(self: Any, maps: Any) -> torch.Tensor:
    output = RIGHT_HEAD(self, maps)
    return torch.cat([output[..., :4], output[..., 4:].sigmoid()], dim=2)


def _decoded_size(self: Any, maps: Any) -> torch.Tensor:
    output = RIGHT_HEAD(self, maps)
    return torch.cat([output[..., :2], output[..., 2:4].exp(), output[..., 4:]], dim=2)


RIGHT_HEAD = network.YoloxHead.forward


@pytest.mark.parametrize("wrong", [_levels_reversed, _sigmoid_twice, _decoded_size])
def test_a_fault_of_the_extraction_is_found(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network.YoloxHead, "forward", wrong)
    assert judged(_probes_of(make_model(SMALL)), SMALL)


def test_probe_that_expects_another_box_fails() -> None:
    probe = FAMILY.probes(FAMILY.parse_config(SMALL))[0]
    boxes = probe.expected.boxes.copy()
    boxes[3, 0] += 1.5
    (found,) = judged([replace(probe, expected=replace(probe.expected, boxes=boxes))], SMALL)
    assert "corner of 1 boxes differs by up to 1.5" in found
