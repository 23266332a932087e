"""Latency as SVG: a histogram and bars by stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from awml_deploy_core.evaluation.latency import LatencyStatistics, StageStatistics
from awml_deploy_core.reporting.html_parts import text

_WIDTH, _HEIGHT = 520, 232
_LEFT, _RIGHT, _TOP, _BOTTOM = 12, 18, 50, 34
_BAR, _LINE, _MARK = "#2563a8", "#1b2733", "#b42318"
_ROW = 26
_CHARACTER = 7.2
"""Width of a character [px] in most fonts, at 12 px."""
_LEAST_BARS = 120


def histogram(latency: LatencyStatistics) -> str:
    """Number of frames by end-to-end latency, with percentiles marked."""
    edges, counts = latency.histogram_edges, latency.histogram
    low, high, most = edges[0], edges[-1], max(counts)
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x(value: float) -> float:
        return _LEFT + width * (min(value, high) - low) / (high - low)

    base = _HEIGHT - _BOTTOM
    bars = "".join(
        _rect(x(left), base - height * count / most, x(right) - x(left) - 1, height * count / most)
        for left, right, count in zip(edges, edges[1:], counts, strict=False)
    )
    marks = "".join(
        f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{_TOP}" y2="{base}" stroke="{_MARK}" '
        f'stroke-dasharray="4 3"/>'
        f'<text x="{x(value):.1f}" y="{_TOP - 6 - 13 * place}" text-anchor="middle">{name}</text>'
        for place, (name, value) in enumerate(_marked(latency.end_to_end))
    )
    beyond = " and more" if latency.end_to_end.max > high else ""
    ticks = "".join(
        f'<text x="{x(value):.1f}" y="{base + 16}" text-anchor="{anchor}">{value:.1f}{more}</text>'
        for value, anchor, more in (
            (low, "start", ""),
            ((low + high) / 2, "middle", ""),
            (high, "end", beyond),
        )
    )
    title = f"end-to-end latency [ms], {latency.end_to_end.frames} frames"
    axis = f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}" stroke="{_LINE}"/>'
    caption = f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 3}" text-anchor="middle">{text(title)}</text>'
    return _svg(_WIDTH, _HEIGHT, title, bars + marks + axis + ticks + caption)


class StagePercentiles(Protocol):
    """Latency of a stage [ms]."""

    @property
    def stage(self) -> str: ...

    @property
    def p50(self) -> float: ...

    @property
    def p99(self) -> float: ...


def stage_bars(stages: Sequence[StagePercentiles]) -> str:
    """The median of every stage as a bar, a line on to its 99th percentile; empty without stages."""
    if not stages:
        return ""
    figures = [f"{stage.p50:.2f} / {stage.p99:.2f}" for stage in stages]
    left = _CHARACTER * max(len(stage.stage) for stage in stages) + 16
    right = _CHARACTER * max(map(len, figures)) + 16
    longest = max(stage.p99 for stage in stages) or 1.0
    width = max(_WIDTH, left + right + _LEAST_BARS)
    scale = (width - left - right) / longest
    rows = []
    for number, (stage, label) in enumerate(zip(stages, figures, strict=True)):
        middle = _ROW * (number + 1.5)
        end, far = left + stage.p50 * scale, left + stage.p99 * scale
        rows.append(
            f'<text x="{left - 8:.1f}" y="{middle + 4}" text-anchor="end">{text(stage.stage)}</text>'
            f"{_rect(left, middle - 8, end - left, 16)}"
            f'<line x1="{end:.1f}" x2="{far:.1f}" y1="{middle}" y2="{middle}" stroke="{_LINE}"/>'
            f'<line x1="{far:.1f}" x2="{far:.1f}" y1="{middle - 5}" y2="{middle + 5}" stroke="{_LINE}"/>'
            f'<text x="{far + 8:.1f}" y="{middle + 4}">{label}</text>'
        )
    height = round(_ROW * (len(stages) + 1.5))
    title = "stages: p50 (bar) and p99 (line) [ms]"
    caption = f'<text x="{_LEFT}" y="{_ROW - 8}">{title}</text>'
    return _svg(round(width), height, title, caption + "".join(rows))


def _rect(x: float, y: float, width: float, height: float) -> str:
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}"'
    return f'<rect {shape} fill="{_BAR}"/>'


def _marked(statistics: StageStatistics) -> list[tuple[str, float]]:
    return [("p50", statistics.p50), ("p95", statistics.p95), ("p99", statistics.p99)]


def _svg(width: int, height: int, title: str, content: str) -> str:
    return (
        f'<svg role="img" aria-label="{text(title)}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">{content}</svg>'
    )
