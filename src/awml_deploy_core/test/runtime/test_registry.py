from __future__ import annotations

from typing import Any

import pytest

from awml_deploy_core import packages
from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.device import CPU
from awml_deploy_core.errors import ArtifactError, BackendUnavailableError, ConfigError
from awml_deploy_core.runtime import (
    Availability,
    SessionOptions,
    SessionSource,
    available_backends,
    load_backend,
    open_sessions,
)


def source(name: str) -> SessionSource:
    return SessionSource(ComponentSpec(name, f"{name}.onnx", (), ()))


class FakeSession:
    def __init__(self, source: SessionSource, log: list[str]) -> None:
        self.spec, self._log = source.spec, log

    def close(self) -> None:
        self._log.append(f"close {self.spec.name}")


class FakeBackend:
    """Fails on the component named ``bad``."""

    name = "fake"

    def __init__(self) -> None:
        self.log: list[str] = []
        self.options: SessionOptions | None = None

    def availability(self, device: object) -> Availability:
        return Availability(True, "fake")

    def open_session(self, source: SessionSource, device: object, options: SessionOptions) -> Any:
        self.options = options
        if source.spec.name == "bad":
            raise ArtifactError("bad.onnx", "is corrupt")
        self.log.append(f"open {source.spec.name}")
        return FakeSession(source, self.log)


class FakePoint:
    value = "some_package:Backend"

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name, self.error = name, error

    def load(self) -> type:
        if self.error:
            raise self.error
        return FakeBackend


def test_core_installs_pytorch_and_onnxruntime() -> None:
    assert {"onnxruntime", "pytorch"} <= set(available_backends())


@pytest.mark.parametrize("name", ["onnxruntime", "pytorch"])
def test_a_backend_knows_its_name(name: str) -> None:
    assert load_backend(name).name == name


def test_an_unknown_backend_lists_the_installed_ones() -> None:
    with pytest.raises(ConfigError, match=r"got 'tensorflow'; expected .*onnxruntime or pytorch"):
        load_backend("tensorflow")


@pytest.mark.parametrize("error", [ImportError("no libfoo"), AttributeError("no Backend")])
def test_a_broken_plugin_is_a_typed_error(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(packages, "entry_points", lambda group: [FakePoint("broken", error)])
    with pytest.raises(BackendUnavailableError, match="some_package:Backend"):
        load_backend("broken")


def test_sessions_are_opened_in_order_and_keyed_by_component(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "entry_points", lambda group: [FakePoint("fake")])
    sessions = open_sessions([source("a"), source("b")], "fake", CPU)
    assert list(sessions) == ["a", "b"]


def test_sessions_stay_open_when_all_opened() -> None:
    backend, options = FakeBackend(), SessionOptions(num_threads=2)
    open_sessions([source("a"), source("b")], backend, CPU, options)
    assert backend.log == ["open a", "open b"]
    assert backend.options is options


def test_what_was_opened_is_closed_when_a_later_one_fails() -> None:
    backend = FakeBackend()
    with pytest.raises(ArtifactError, match="is corrupt"):
        open_sessions([source("a"), source("b"), source("bad")], backend, CPU)
    assert backend.log == ["open a", "open b", "close b", "close a"]


def test_two_sources_of_one_component_are_refused() -> None:
    backend = FakeBackend()
    with pytest.raises(ConfigError, match="component a: is given twice"):
        open_sessions([source("a"), source("a")], backend, CPU)
    assert backend.log == ["open a", "close a"]
