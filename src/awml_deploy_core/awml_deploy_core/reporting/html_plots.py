"""Latency as SVG: a histogram and bars by stage."""

from __future__ import annotations

from collections.abc import Sequence

from awml_deploy_core.evaluation.latency import LatencyStatistics, StageStatistics
from awml_deploy_core.reporting.html_parts import text

_WIDTH, _HEIGHT = 520, 232
_LEFT, _RIGHT, _TOP, _BOTTOM = 12, 18, 38, 34
_BAR, _LINE, _MARK = "#2563a8", "#1b2733", "#b42318"
_ROW = 26
_NAMES, _LABELS = 115, 115


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
        f'<text x="{x(value):.1f}" y="{_TOP - 6 - 12 * (place % 2)}" text-anchor="middle">{name}</text>'
        for place, (name, value) in enumerate(_marked(latency.end_to_end))
    )
    ticks = "".join(
        f'<text x="{x(value):.1f}" y="{base + 16}" text-anchor="{anchor}">{value:.1f}</text>'
        for value, anchor in ((low, "start"), ((low + high) / 2, "middle"), (high, "end"))
    )
    title = f"end-to-end latency [ms], {latency.end_to_end.frames} frames"
    axis = f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}" stroke="{_LINE}"/>'
    caption = f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 3}" text-anchor="middle">{text(title)}</text>'
    return _svg(_WIDTH, _HEIGHT, title, bars + marks + axis + ticks + caption)


def stage_bars(latency: LatencyStatistics) -> str:
    """The median of every stage as a bar, a line on to its 99th percentile."""
    stages: Sequence[StageStatistics] = (*latency.stages, latency.end_to_end)
    longest = max(stage.p99 for stage in stages) or 1.0
    scale = (_WIDTH - _NAMES - _LABELS) / longest
    rows = []
    for number, stage in enumerate(stages):
        middle = _TOP + _ROW * number + _ROW / 2
        end, far = _NAMES + stage.p50 * scale, _NAMES + stage.p99 * scale
        rows.append(
            f'<text x="{_NAMES - 8}" y="{middle + 4}" text-anchor="end">{text(stage.stage)}</text>'
            f"{_rect(_NAMES, middle - 8, end - _NAMES, 16)}"
            f'<line x1="{end:.1f}" x2="{far:.1f}" y1="{middle}" y2="{middle}" stroke="{_LINE}"/>'
            f'<line x1="{far:.1f}" x2="{far:.1f}" y1="{middle - 5}" y2="{middle + 5}" stroke="{_LINE}"/>'
            f'<text x="{far + 8:.1f}" y="{middle + 4}">{stage.p50:.2f} / {stage.p99:.2f}</text>'
        )
    height = _TOP + _ROW * len(stages) + 10
    title = "stages: p50 (bar) and p99 (line) [ms]"
    caption = f'<text x="{_NAMES}" y="{_TOP - 12}">{title}</text>'
    return _svg(_WIDTH, height, title, caption + "".join(rows))


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
