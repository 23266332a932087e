"""What a node of one kind of model has to bring."""

from __future__ import annotations

from typing import Protocol

from awml_deploy_ros.shadow.settings import ShadowSettings
from awml_deploy_ros.snippets.settings import SnippetSettings


class CommonSettings(Protocol):
    """What every node of a model is told by its parameters."""

    @property
    def model_path(self) -> str: ...
    @property
    def backend(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def checkpoint_path(self) -> str: ...
    @property
    def warm_up_frames(self) -> int: ...
    @property
    def latency_window(self) -> int: ...
    @property
    def latency_budget_file(self) -> str: ...
    @property
    def shadow(self) -> ShadowSettings: ...
    @property
    def snippets(self) -> SnippetSettings: ...
    @property
    def evidence_folder(self) -> str: ...


class InputStream(Protocol):
    """What an active node has that an inactive one has not: its subscriptions and its worker."""

    @property
    def topic_name(self) -> str:
        """The topic of the inputs."""
        ...

    def close(self) -> None:
        """Unsubscribe and finish the frame in work."""
        ...
