"""Text for rich."""

from __future__ import annotations

_STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow", "error": "bold red"}


def status_text(status: str) -> str:
    """A status in its colour."""
    return f"[{_STYLES[status]}]{status}[/]"


def plain(text: str) -> str:
    """Text that rich shows as it is: brackets in names and paths are no markup."""
    from rich.markup import escape

    return escape(text)
