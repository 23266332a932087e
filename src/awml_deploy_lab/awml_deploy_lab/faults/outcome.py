"""What a verification says about a deployment, in the order of the data flow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.reporting.records import CheckRecord
from awml_deploy_core.reporting.verification_result import VerificationRecord

LOAD = "load"
"""Refused before anything ran: by the bundle, or when a backend opened a component."""
LEVELS = (LOAD, "bundle", "probe", "component", "chain", "boxes", "repeat", "scenario")
"""Where a defect can be seen first."""
BISECT = "bisect"

_MOST_QUOTED = 260
_HASHES = re.compile(r"(?<![0-9a-f])(?=[0-9]*[a-f])[0-9a-f]{12,}(?![0-9a-f])")
_FIGURES = re.compile(
    r"\b\d+(?= of \d+ values)|(?<=to all channels: )[-\d., ]+|-?\d+\.\d{3,}|-?\d+(?:\.\d+)?e[+-]?\d+"
)
"""What depends on the machine, or on what the model was trained to."""
_CLAUSES = re.compile(r";\s+|\n\s*-\s*|\n")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    level: str
    name: str
    """Of the check."""
    message: str

    @property
    def text(self) -> str:
        return f"{self.name}: {self.message}"

    def says(self, words: Sequence[str]) -> bool:
        """Whether all words are in the name and the message."""
        return all(word in self.text for word in words)

    def quote(self, words: Sequence[str]) -> str:
        """The clauses that say it, without figures that depend on the machine."""
        clauses = [part.strip() for part in _CLAUSES.split(self.message)]
        chosen = [clause for clause in clauses if any(word in clause for word in words)] or clauses[:1]
        said = _HASHES.sub("...", "; ".join(dict.fromkeys(chosen)))
        text = f"{self.name}: {_FIGURES.sub('...', said)}"
        return text if len(text) <= _MOST_QUOTED else f"{text[:_MOST_QUOTED]}..."


@dataclass(frozen=True)
class Outcome:
    """Verdict and findings of one verification."""

    status: str
    """``passed``, ``failed``, ``error``, or ``refused`` by an error before anything was verified."""
    findings: tuple[Finding, ...]
    """Worst first: in the order of LEVELS."""

    @classmethod
    def of_error(cls, error: AwmlDeployError) -> Outcome:
        return cls("refused", (Finding(LOAD, type(error).__name__, _local(str(error))),))

    @classmethod
    def of_record(cls, record: VerificationRecord) -> Outcome:
        found = list(_findings(record))
        return cls(record.status, tuple(sorted(found, key=lambda item: LEVELS.index(item.level))))

    @property
    def levels(self) -> tuple[str, ...]:
        """Every level that found something, in order."""
        return tuple(dict.fromkeys(finding.level for finding in self.findings))

    def naming(self, words: Sequence[str]) -> Finding | None:
        """The first finding that says all words."""
        return next((finding for finding in self.findings if finding.says(words)), None)


def _findings(record: VerificationRecord) -> Iterator[Finding]:
    for check in record.checks:
        if check.status in ("failed", "error"):
            yield _finding(check)
    for scenario in record.scenarios:
        for check in scenario.checks:
            if check.status in ("failed", "error") or (check.status == "skipped" and check.required):
                yield _finding(check)
        for bisection in scenario.bisections:
            yield Finding("component", BISECT, bisection.message)


def _finding(check: CheckRecord) -> Finding:
    level = check.details.get("level")
    if level is None:
        opened = check.status == "error" and not check.details.get("sample")
        level = LOAD if opened else "scenario"
    return Finding(level, _short(check.name), _local(check.message))


def _short(name: str) -> str:
    """Without the scenario, of which there is one."""
    return name.replace("pytorch:cpu vs onnxruntime:cpu / ", "").replace(
        "pytorch:cpu vs onnxruntime:cpu", "scenario"
    )


def _local(text: str) -> str:
    """Without the folders of paths, which are temporary."""
    return re.sub(r"(?<![\w.])/\S*/", "", text)
