"""Records and tables of engine builds and self-tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow", "error": "bold red"}


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class EngineBuildRecord(_Record):
    """One engine of a build."""

    component: str
    file: str
    """Relative to the bundle."""
    produced_by: str
    reused: bool
    """Whether it was there already."""
    seconds: float
    """What the build took; 0 if it was reused."""
    size_bytes: int
    details: Mapping[str, Any] = Field(default_factory=dict)


class SelftestCheckRecord(_Record):
    """One check of a self-test."""

    name: str
    """Backend, device, component, output."""
    status: Literal["passed", "failed", "skipped", "error"]
    message: str


class SelftestLatencyRecord(_Record):
    """One component in one backend, from host arrays to host arrays [ms]."""

    backend: str
    component: str
    runs: int
    p50: float
    p95: float
    max: float


class SelftestRecord(_Record):
    """A whole self-test."""

    status: Literal["passed", "failed", "skipped", "error"]
    summary: str
    checks: tuple[SelftestCheckRecord, ...]
    latencies: tuple[SelftestLatencyRecord, ...]


def engine_table(records: tuple[EngineBuildRecord, ...]) -> RenderableType:
    """Engines of a build."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table("engine", "by", "size", "time", box=SIMPLE_HEAD, pad_edge=False)
    for record in records:
        size = f"{record.size_bytes / 1e3:.0f} kB"
        time = "reused" if record.reused else f"{record.seconds:.1f} s"
        table.add_row(*map(escape, (record.file, record.produced_by, size, time)))
    return table


def print_selftest(record: SelftestRecord, console: Console) -> None:
    """Every check, latencies and the verdict."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    for check in record.checks:
        text = escape(f"{check.name}: {check.message}")
        console.print(f"  [{_STYLES[check.status]}]{check.status}[/]  {text}", soft_wrap=True)
    if record.latencies:
        table = Table("latency in ms", "component", box=SIMPLE_HEAD, pad_edge=False)
        for column in ("p50", "p95", "max", "runs"):
            table.add_column(column, justify="right")
        for item in record.latencies:
            figures = (f"{value:.2f}" for value in (item.p50, item.p95, item.max))
            table.add_row(escape(item.backend), escape(item.component), *figures, str(item.runs))
        console.print(table)
    console.print(
        f"selftest: [{_STYLES[record.status]}]{record.status}[/] ({record.summary.partition(': ')[2]})"
    )
