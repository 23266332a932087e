"""What a node of one kind of model has to bring."""

from __future__ import annotations

from typing import Protocol


class InputStream(Protocol):
    """What an active node has that an inactive one has not: its subscriptions and its worker."""

    @property
    def topic_name(self) -> str:
        """The topic of the inputs."""
        ...

    def close(self) -> None:
        """Unsubscribe and finish the frame in work."""
        ...
