"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from awml_deploy_core.logging_setup import LogFormat

LEVELS = ("debug", "info", "warning", "error")


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Options of every command."""
    group = parser.add_argument_group("common options")
    group.add_argument(
        "--json", metavar="OUT", help="write the result as JSON to OUT ('-': standard output)"
    )
    group.add_argument("--log-level", choices=LEVELS, help="least level of log lines (default: info)")
    group.add_argument("--log-format", choices=("text", "json"), help="form of log lines (default: text)")


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Other forms of the result, for commands with a verdict."""
    parser.add_argument("--html", metavar="OUT", help="write the result as one self-contained page to OUT")
    parser.add_argument("--junit", metavar="OUT", help="write the checks as JUnit XML to OUT")


def add_target(
    parser: argparse.ArgumentParser, what: str = "a deploy.yaml or the folder of a model bundle"
) -> None:
    """The positional argument and ``--set``."""
    parser.add_argument("target", type=Path, metavar="TARGET", help=f"{what}, or AWML's deploy_config.py")
    parser.add_argument(
        "--model-config", type=Path, metavar="FILE", help="the model's own configuration, of AWML's file"
    )
    parser.add_argument(
        "--follow-base", action="store_true", help="read the files that _base_ of AWML's files names too"
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY.SUB=VALUE",
        help="override one configuration value; may be repeated",
    )


def log_settings(
    args: argparse.Namespace, level: str = "info", fmt: LogFormat = "text"
) -> tuple[str, LogFormat]:
    """Level and format of the command line, else those given."""
    return args.log_level or level, args.log_format or fmt


def override(key: str, value: object) -> list[str]:
    """``--set`` form of an option that was given, nothing for one that was not."""
    if value is None or value == []:
        return []
    text = json.dumps(value, default=str, ensure_ascii=False)
    # JSON would escape what lies beyond 16 bits as two surrogates, which YAML does not put together.
    return [f"{key}=" + re.sub(r"[^ -~]", lambda found: f"\\U{ord(found[0]):08x}", text)]
