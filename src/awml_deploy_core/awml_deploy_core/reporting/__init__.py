"""One result model, rendered as a terminal table, JSON, JUnit XML or one HTML page."""

from awml_deploy_core.reporting.html import to_html, write_html
from awml_deploy_core.reporting.json_writer import to_json, write_json
from awml_deploy_core.reporting.junit import to_junit, write_junit
from awml_deploy_core.reporting.result import SCHEMA_VERSION, Report

__all__ = [
    "SCHEMA_VERSION",
    "Report",
    "to_html",
    "to_json",
    "to_junit",
    "write_html",
    "write_json",
    "write_junit",
]
