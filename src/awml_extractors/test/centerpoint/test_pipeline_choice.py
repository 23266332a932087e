"""Which pipeline runs a model."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.errors import (
    AwmlDeployError,
    ConfigError,
    DeviceError,
    MissingDependencyError,
    ParameterError,
)
from awml_extractors.centerpoint import pipeline_choice
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device import pipeline as device_pipeline
from awml_extractors.centerpoint.pipeline import CenterPointPipeline
from awml_extractors.centerpoint.specs import component_specs

CONFIG = CenterPointConfig(max_voxels=100)


class HostSession:
    backend = "fake"

    def __init__(self, spec: ComponentSpec, device: DeviceSpec) -> None:
        self.spec, self.device = spec, device

    def run(self, inputs: Any) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        pass


class GpuSession(HostSession):
    capturable = True
    captures_shapes = True

    def bind(self, spans: Any) -> None:
        raise NotImplementedError

    def set_shapes(self, shapes: Any) -> Any:
        raise NotImplementedError

    def enqueue(self, stream: int) -> None:
        raise NotImplementedError


class DevicePipeline:
    failure: AwmlDeployError | None = None

    def __init__(self, *_: Any) -> None:
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> type[DevicePipeline]:
    class Made(DevicePipeline):
        pass

    monkeypatch.setattr(device_pipeline, "DeviceCenterPointPipeline", Made)
    return Made


def create(
    kinds: tuple[type[HostSession], type[HostSession]], devices: tuple[str, str], **options: Any
) -> Any:
    sessions: dict[str, Any] = {
        spec.name: kind(spec, DeviceSpec.parse(device))
        for spec, kind, device in zip(component_specs(CONFIG), kinds, devices, strict=True)
    }
    return pipeline_choice.create_pipeline(CONFIG, sessions, options)


BOTH = (GpuSession, GpuSession)


def test_auto_follows_the_network(on_gpu: type[DevicePipeline]) -> None:
    assert isinstance(create(BOTH, ("cuda", "cuda")), on_gpu)
    for kinds, devices in (
        (BOTH, ("cuda:0", "cuda:1")),
        (BOTH, ("cpu", "cpu")),
        ((HostSession, GpuSession), ("cuda", "cuda")),
    ):
        assert isinstance(create(kinds, devices), CenterPointPipeline)


def test_what_was_asked_for_is_taken(on_gpu: type[DevicePipeline]) -> None:
    assert isinstance(create(BOTH, ("cuda", "cuda"), pipeline="host"), CenterPointPipeline)
    assert isinstance(create((HostSession, HostSession), ("cpu", "cpu"), pipeline="device"), on_gpu)


def test_a_model_that_the_gpu_cannot_take_runs_on_the_host(
    on_gpu: type[DevicePipeline], caplog: pytest.LogCaptureFixture
) -> None:
    for failure in (MissingDependencyError("NVRTC", "is missing"), ConfigError("pillar", "too large")):
        on_gpu.failure = failure
        with caplog.at_level(logging.WARNING):
            assert isinstance(create(BOTH, ("cuda", "cuda")), CenterPointPipeline)
        assert failure.problem in caplog.text
        with pytest.raises(type(failure)):
            create(BOTH, ("cuda", "cuda"), pipeline="device")
    on_gpu.failure = DeviceError("cuda:0", "out of memory")
    with pytest.raises(DeviceError):
        create(BOTH, ("cuda", "cuda"))


def test_it_does_not_change_while_the_model_is_open() -> None:
    opened = create((HostSession, HostSession), ("cpu", "cpu"))
    assert opened.sessions[0].device == CPU
    assert opened.with_options({"pipeline": "auto"}).options == opened.options
    with pytest.raises(ParameterError, match="cannot change while the model is open"):
        opened.with_options({"pipeline": "device"})
