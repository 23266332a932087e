"""A precision study on the terminal and on the HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from awml_deploy_core.reporting.evaluation_terminal import print_checks, print_line, print_table
from awml_deploy_core.reporting.html_checks import checks_table
from awml_deploy_core.reporting.html_parts import badge, metric_table, paragraph, section, text
from awml_deploy_core.reporting.markup import status_text
from awml_deploy_core.reporting.precision_result import PrecisionRecord
from awml_deploy_core.reporting.precision_tables import missing_lines, precision_tables

if TYPE_CHECKING:
    from rich.console import Console


def print_precision(record: PrecisionRecord, console: Console) -> None:
    """Print every table, what was not measured and the choice."""
    for table in precision_tables(record):
        print_table(table, console)
    for line in (*missing_lines(record), *record.notes):
        print_line(f"  {line}", console)
    print_checks(record.checks, console)
    console.print(
        f"precision study over {record.num_samples} samples, calibrated on {record.num_calibration}: "
        f"{status_text(record.status)}",
        soft_wrap=True,
    )
    print_line(choice_line(record), console)


def precision_section(record: PrecisionRecord) -> str:
    """The same as HTML."""
    parts = [
        f"<p>{badge(record.status)} {text(choice_line(record))}</p>",
        paragraph(
            f"{record.num_samples} samples of {', '.join(record.samples)}; calibrated on "
            f"{record.num_calibration} of {', '.join(record.calibration)}",
            "faint",
        ),
        *map(metric_table, precision_tables(record)),
        *map(paragraph, (*missing_lines(record), *record.notes)),
        checks_table(record.checks),
    ]
    return section("Precision", parts)


def choice_line(record: PrecisionRecord) -> str:
    """What was chosen, why, and where it is."""
    line = f"chosen: {record.chosen or 'nothing'} ({record.reason})"
    return f"{line}; written to {record.written}" if record.written else line
