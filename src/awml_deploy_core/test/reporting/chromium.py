"""Headless Chromium, cut off from every network, that opens pages and measures them."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_S = 240.0
"""Of one start, on a machine that has better things to do."""

_MEASURE = """
const luminance = color => {
  const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (view, element) => {
  for (let e = element; e; e = e.parentElement) {
    const color = view.getComputedStyle(e).backgroundColor;
    if (!/^rgba.*, 0\\)$/.test(color)) return color;
  }
  return 'rgb(255, 255, 255)';
};
const ownText = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
const measure = frame => {
  const doc = frame.contentDocument, view = frame.contentWindow, root = doc.documentElement;
  const closed = doc.querySelectorAll('details:not([open])').length;
  doc.querySelectorAll('details').forEach(d => d.open = true);
  const header = doc.querySelector('header.verdict').getBoundingClientRect();
  const written = [...doc.body.querySelectorAll('*')].filter(ownText);
  const contrasts = written.filter(e => !e.closest('svg')).map(e => {
    const [a, b] = [view.getComputedStyle(e).color, ground(view, e)].map(luminance);
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.slice(0, 60)];
  });
  const outside = (inner, outer) => inner.left < outer.left - 1 || inner.right > outer.right + 1
    || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
  return {
    closed,
    width: root.clientWidth, scroll_width: root.scrollWidth,
    header: [header.left, header.top, header.right, header.bottom],
    verdict: doc.querySelector('header.verdict h1').innerText,
    pictures: [...doc.images].map(i => [i.complete ? i.naturalWidth : 0, i.getBoundingClientRect().width]),
    beyond: written.filter(e => !e.closest('.scroll') && !e.closest('svg')
      && e.getBoundingClientRect().right > root.clientWidth).map(e => e.textContent.slice(0, 60)),
    cut: [...doc.querySelectorAll('svg text')]
      .filter(e => outside(e.getBoundingClientRect(), e.closest('svg').getBoundingClientRect()))
      .map(e => e.textContent),
    squashed: [...doc.querySelectorAll('td')].filter(e => ownText(e)
      && e.getBoundingClientRect().height > 12 * e.getBoundingClientRect().width)
      .map(e => e.textContent.slice(0, 60)),
    faintest: contrasts.sort((a, b) => a[0] - b[0])[0],
    fetched: view.performance.getEntriesByType('resource').map(e => e.name)
      .filter(name => !name.startsWith('data:')),
  };
};
onload = () => {
  document.getElementById('measured').textContent =
    JSON.stringify([...document.querySelectorAll('iframe')].map(measure));
};
"""


@dataclass(frozen=True)
class Measured:
    """A page at one width of the window."""

    values: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.values[name]


@dataclass(frozen=True)
class Opened:
    """A page in windows of several widths."""

    at: dict[int, Measured]
    """By width [px]."""
    console: tuple[str, ...]
    """What the browser complained about."""


@dataclass(frozen=True)
class Chromium:
    """The browser, with a profile of its own."""

    program: str
    folder: Path

    @classmethod
    def find(cls, folder: Path) -> Chromium | None:
        """The installed one, None if there is none."""
        found = next(filter(None, map(shutil.which, PROGRAMS)), None)
        return None if found is None else cls(found, folder)

    def open(self, page: Path, *widths: int) -> Opened:
        """Open a page at several widths at once, with everything unfolded, and measure it."""
        frames = "".join(
            f'<iframe src="{html.escape(page.as_uri())}" width="{width}" height="1200" '
            'style="border: 0"></iframe>'
            for width in widths
        )
        harness = self.folder / "harness.html"
        harness.write_text(
            f'<!DOCTYPE html><body>{frames}<pre id="measured"></pre><script>{_MEASURE}</script></body>'
        )
        done = self._run(f"--window-size={sum(widths)},1400", "--dump-dom", harness.as_uri())
        found = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout, re.DOTALL)
        assert found is not None, done.stderr[-2000:]
        assert found[1], done.stdout[-2000:] + done.stderr[-2000:]
        values = json.loads(html.unescape(found[1]))
        at = {width: Measured(value) for width, value in zip(widths, values, strict=True)}
        return Opened(at, tuple(line for line in done.stderr.splitlines() if ":CONSOLE" in line))

    def screenshot(self, page: Path, target: Path, width: int, height: int) -> Path:
        """The top of a page as PNG."""
        self._run(f"--window-size={width},{height}", f"--screenshot={target}", page.as_uri())
        assert target.is_file()
        return target

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        options = [
            *("--headless", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", "--allow-file-access-from-files"),
            *("--enable-logging=stderr", f"--user-data-dir={self.folder / 'profile'}"),
            # Chromium refuses its sandbox to root.
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
        ]
        done = subprocess.run(
            [self.program, *options, *arguments],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done
