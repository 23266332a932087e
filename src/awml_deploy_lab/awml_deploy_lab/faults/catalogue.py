"""The fault catalogue: every defect, what verification says of it, and the variations it must pass."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from awml_deploy_lab.faults.code_defects import CODE_DEFECTS
from awml_deploy_lab.faults.defect import Defect
from awml_deploy_lab.faults.deployment import copied, make_deployment
from awml_deploy_lab.faults.graph_defects import GRAPH_DEFECTS
from awml_deploy_lab.faults.manifest_defects import MANIFEST_DEFECTS
from awml_deploy_lab.faults.outcome import Outcome
from awml_deploy_lab.faults.setting_defects import SETTING_DEFECTS
from awml_deploy_lab.faults.variations import VARIATIONS
from awml_deploy_lab.faults.weight_defects import WEIGHT_DEFECTS

DEFECTS: tuple[Defect, ...] = (
    *WEIGHT_DEFECTS,
    *GRAPH_DEFECTS,
    *MANIFEST_DEFECTS,
    *SETTING_DEFECTS,
    *CODE_DEFECTS,
)

Tell = Callable[[str], object]

ABOUT = """# Fault catalogue

Every defect below is planted, alone, in the deployment of the demo model, and `awml-deploy verify` must
fail and say what is wrong. Every variation must pass. This page is written by
`make faults`; the tests of `awml_deploy_lab` run a third of it, and all of it with
`AWML_DEPLOY_ALL_FAULTS=1`.

Planted in: **graph**, an ONNX file whose new hash the manifest is given, as a careless tool would; the
**manifest**; **parameters**, the files that the vehicle's node reads; the **configuration**, a deploy.yaml
that is not the one of the export; the **checkpoint**; an **engine**; **code**, the pre- and
post-processing that every backend shares.

Found first at: **load**, refused before anything ran; **bundle**, what the bundle says against what is
configured; **probe**, boxes and points at known places; **component**, each graph alone against PyTorch;
**repeat**, the first sample again; **scenario**, what could not run. *Also at* names the levels that find
it as well, so that the evidence can be told: a setting that only *bundle* finds is not known to change a
result of this model.
"""


@dataclass(frozen=True)
class Row:
    """A defect and what was said of it."""

    defect: Defect
    outcome: Outcome

    @property
    def problem(self) -> str:
        """Why the defect does not count as caught and named; empty if it does."""
        if self.outcome.status == "passed":
            return "was not noticed"
        if self.outcome.levels[:1] != (self.defect.level,):
            return f"found first at {self.outcome.levels[:1]}, expected {self.defect.level}"
        if self.outcome.naming(self.defect.says) is None:
            return f"nothing says {' and '.join(self.defect.says)}"
        return ""

    @property
    def quote(self) -> str:
        """What names it."""
        finding = self.outcome.naming(self.defect.says)
        return finding.quote(self.defect.says) if finding else ""


@dataclass(frozen=True)
class Task:
    """One defect or variation, by its number: what they do cannot be sent to another process."""

    sound: Path
    """What :func:`~awml_deploy_lab.faults.deployment.make_deployment` made."""
    work: Path
    """A folder for copies."""
    number: int
    is_defect: bool


def run_task(task: Task) -> Outcome:
    """Plant one defect, or apply one variation, and verify."""
    change = DEFECTS[task.number].plant if task.is_defect else VARIATIONS[task.number].vary
    with (
        tempfile.TemporaryDirectory(dir=task.work) as name,
        copied(task.sound, Path(name)) as deployment,
    ):
        change(deployment)
        return deployment.verify()


@contextmanager
def running(
    model: Path,
    work: Path,
    workers: int = 2,
    *,
    defects: Sequence[int] = range(len(DEFECTS)),
    variations: Sequence[int] = range(len(VARIATIONS)),
) -> Iterator[tuple[Iterator[Row], Iterator[Outcome]]]:
    """The rows of defects and the outcomes of variations, in their order as they are done.

    Args:
        model: Folder of the demo model: ``checkpoint.pth``, ``bundle``.
        work: A folder for the deployment and its copies.
        workers: Processes, each of which computes on one thread.
        defects: Numbers of those to plant.
        variations: Numbers of those to try.

    Raises:
        AwmlDeployError: The demo model cannot be exported.
    """
    sound = make_deployment(model, work / "sound")
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        found = [
            pool.map(run_task, [Task(sound, work, number, is_defect) for number in numbers])
            for is_defect, numbers in ((True, defects), (False, variations))
        ]
        yield map(Row, (DEFECTS[number] for number in defects), found[0]), found[1]


def render(rows: Sequence[Row]) -> str:
    """The page, without figures that depend on the machine, once every variation has passed."""
    lines = [
        ABOUT,
        f"## Defects: {len(rows)}, all caught\n",
        "| defect | planted in | found first at | also at | what says so |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        also = ", ".join(row.outcome.levels[1:]) or "-"
        quote = row.quote.replace("|", "\\|")
        lines.append(f"| {row.defect.name} | {row.defect.where} | {row.defect.level} | {also} | {quote} |")
    lines.append(f"\n## Clean variations: {len(VARIATIONS)}, none flagged\n")
    lines += [f"- {variation.name}" for variation in VARIATIONS]
    return "\n".join(lines) + "\n"


def problems_of(rows: Iterable[Row], outcomes: Iterable[Outcome], tell: Tell) -> list[str]:
    """Every defect that is not caught or not named, and every variation that is flagged.

    Args:
        rows: Of all defects.
        outcomes: Of all variations.
        tell: Gets a line for each as it is done.
    """
    problems = []
    for row in rows:
        title = f"{row.defect.where}: {row.defect.name}"
        tell(f"{title}: {row.problem or row.quote}")
        problems += [f"{title}: {row.problem}"] if row.problem else []
    for variation, outcome in zip(VARIATIONS, outcomes, strict=True):
        said = "; ".join(finding.text for finding in outcome.findings[:2])
        tell(f"clean: {variation.name}: {outcome.status} {said}".rstrip())
        problems += [f"{variation.name}: {said}"] if outcome.status != "passed" else []
    return problems
