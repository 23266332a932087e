"""What the commands ask of a result, whatever a model says."""

from __future__ import annotations

from typing import Any, Protocol

from typing_extensions import Self


class Result(Protocol):
    """Detections, Detections2D, Classification, or what a model family brings."""

    def above(self, min_score: float) -> Self:
        """Without what is less certain than this, where that can be said."""
        ...

    def count_by_class(self) -> dict[str, int]:
        """How many of every class, zeros included."""
        ...

    def to_records(self) -> list[dict[str, Any]]:
        """JSON-ready mappings for reports."""
        ...
