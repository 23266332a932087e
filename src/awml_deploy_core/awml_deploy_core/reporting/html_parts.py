"""Pieces of the HTML page. Every text that comes in is escaped here; what comes out is HTML."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from awml_deploy_core.evaluation.task import MetricTable
from awml_deploy_core.reporting.figures import cell_text

_ILLEGAL = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]")

_SHORT = 24
"""Characters of a value that shares a row with others."""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may load for a page: nothing but what is inside."""

_STYLE = """
:root { color-scheme: light; --ink: #1b2733; --faint: #5b6673; --line: #dfe4ea; --card: #fff;
  --page: #f4f6f8; --passed: #13795b; --failed: #b42318; --skipped: #8a5a00; --error: #b42318;
  --accent: #2563a8; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 20px 60px; }
header.verdict { border-left: 10px solid var(--line); background: var(--card); border-radius: 8px;
  padding: 18px 24px; }
header.verdict h1 { margin: 0; font-size: 30px; line-height: 1.25; }
header.verdict.passed { border-color: var(--passed); }
header.verdict.failed { border-color: var(--failed); }
header.verdict.error { border-color: var(--error); }
section { background: var(--card); border-radius: 8px; padding: 6px 24px 18px; margin-top: 18px; }
h2 { font-size: 21px; margin: 14px 0 6px; } h3 { font-size: 17px; margin: 26px 0 6px; }
h4 { font-size: 14px; margin: 16px 0 4px; color: var(--faint); font-weight: 600; }
p { margin: 6px 0; } ul { margin: 6px 0; padding-left: 22px; }
.note, .faint { color: var(--faint); font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 6px 0; font-size: 13.5px; }
th, td { padding: 3px 10px; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th { color: var(--faint); font-weight: 600; } th:first-child, td:first-child { text-align: left; }
td.text, th.text { text-align: left; white-space: pre-line; min-width: 11em; overflow-wrap: break-word; }
.wrap { overflow-wrap: anywhere; }
td.name, th.name { text-align: left; }
tr.last td { font-weight: 600; }
.badge { border-radius: 4px; padding: 1px 8px; color: #fff; font-size: 13px; font-weight: 600;
  white-space: nowrap; }
h1 .badge { font-size: 20px; padding: 3px 12px; vertical-align: 4px; }
.badge.passed { background: var(--passed); } .badge.failed { background: var(--failed); }
.badge.skipped { background: var(--skipped); } .badge.error { background: var(--error); }
figure { margin: 12px 0; } figure img { width: 100%; border-radius: 6px; display: block; }
figcaption { font-size: 13px; color: var(--faint); }
.plots { display: flex; flex-wrap: wrap; gap: 24px; } .plots > * { min-width: 0; max-width: 100%; }
.plots svg { height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
details { margin: 8px 0; } summary { cursor: pointer; color: var(--accent); }
@media (max-width: 700px) {
  main { padding: 8px 8px 40px; }
  header.verdict { padding: 12px 14px; border-left-width: 6px; } header.verdict h1 { font-size: 22px; }
  section { padding: 4px 12px 12px; }
  th, td { padding: 3px 6px; } td.text { overflow-wrap: anywhere; }
}
"""


def page(title: str, body: str) -> str:
    """A whole page; ``body`` is HTML already. No script, and nothing is loaded from elsewhere."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def text(value: object) -> str:
    """Escaped text, without the control characters that HTML does not allow."""
    return _ILLEGAL.sub("\ufffd", escape(str(value)))


def badge(status: str) -> str:
    """A status in its colour."""
    return f'<span class="badge {text(status)}">{text(status)}</span>'


def paragraph(value: object, kind: str = "") -> str:
    """One paragraph of text."""
    return f'<p class="{text(kind)}">{text(value)}</p>' if kind else f"<p>{text(value)}</p>"


def section(title: str, parts: Iterable[str]) -> str:
    """A card of the page."""
    return f"<section><h2>{text(title)}</h2>{''.join(parts)}</section>"


def details(summary: str, content: str, *, is_open: bool = False) -> str:
    """Content that can be folded away."""
    return f"<details{' open' if is_open else ''}><summary>{text(summary)}</summary>{content}</details>"


def html_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    text_columns: Iterable[int] = (),
    name_columns: Iterable[int] = (),
    is_last_total: bool = False,
) -> str:
    """A table of cells that are HTML already.

    Args:
        columns: Titles, as text.
        rows: Cells, as HTML.
        text_columns: Columns of sentences and paths, which wrap.
        name_columns: Columns of short texts, which do not.
        is_last_total: Whether the last row sums up the others.
    """
    kinds = dict.fromkeys(name_columns, "name") | dict.fromkeys(text_columns, "text")

    def kind(position: int) -> str:
        return f' class="{kinds[position]}"' if position in kinds else ""

    head = "".join(f"<th{kind(i)}>{text(column)}</th>" for i, column in enumerate(columns))
    body, listed = [], list(rows)
    for number, row in enumerate(listed):
        is_total = is_last_total and number == len(listed) - 1
        cells = "".join(f"<td{kind(i)}>{cell}</td>" for i, cell in enumerate(row))
        body.append(f'<tr class="last">{cells}</tr>' if is_total else f"<tr>{cells}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def metric_table(table: MetricTable) -> str:
    """A table of figures with its title and notes."""
    rows = [[text(cell_text(cell)) for cell in row] for row in table.rows]
    total = bool(rows) and rows[-1][0] == "mean"
    notes = "".join(paragraph(note, "note") for note in table.notes)
    return f"<h4>{text(table.title)}</h4>{html_table(table.columns, rows, is_last_total=total)}{notes}"


def listing(items: Iterable[str]) -> str:
    """A list of items that are HTML already."""
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def metric_tables(tables: Sequence[MetricTable]) -> str:
    """The first of several tables; the others are folded away."""
    shown = [metric_table(table) for table in tables]
    if not shown[1:]:
        return "".join(shown)
    word = "table" if len(shown) == 2 else "tables"
    return shown[0] + details(f"{len(shown) - 1} more {word}", "".join(shown[1:]))


def facts_table(facts: Mapping[str, Any]) -> str:
    """Names and values; one row for each value of a mapping inside."""
    rows = [
        tuple(f'<span class="wrap">{text(part)}</span>' for part in (name, _in_words(value)))
        for name, value in _flat(facts)
    ]
    return html_table(("", ""), rows, text_columns=(0, 1))


def picture(path: str | None, caption: str) -> str:
    """A PNG file inside the page, or its caption alone if there is none."""
    if path is None:
        return paragraph(caption)
    try:
        content = base64.b64encode(Path(path).read_bytes()).decode()
    except OSError as error:
        return paragraph(f"{caption} (no picture: {error.strerror})")
    return (
        f'<figure><img alt="{text(caption)}" src="data:image/png;base64,{content}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            if value and all(_is_short(inner) for inner in value.values()):
                yield f"{prefix}{name}", ", ".join(f"{key} {inner}" for key, inner in value.items())
                continue
            yield from _flat(value, f"{prefix}{name}: ")
        elif value not in (None, [], ()):
            yield f"{prefix}{name}", value


def _is_short(value: Any) -> bool:
    return isinstance(value, str | int | float) and len(str(value)) <= _SHORT


def _in_words(value: Any) -> str:
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str | int | float) for item in value):
        return ", ".join(map(str, value))
    return json.dumps(value, default=str, ensure_ascii=False)
