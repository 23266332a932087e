"""One result model, rendered as a terminal table or JSON."""

from awml_deploy_core.reporting.json_writer import to_json, write_json
from awml_deploy_core.reporting.result import SCHEMA_VERSION, Report

__all__ = ["SCHEMA_VERSION", "Report", "to_json", "write_json"]
