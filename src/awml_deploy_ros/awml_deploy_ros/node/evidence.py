"""Evidence packs: one folder that says what ran, on what, how it was set and how it went."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from awml_deploy_core.files import fsync_tree, io_errors, write_text
from awml_deploy_ros.diagnostics import StatusReport
from awml_deploy_ros.latency import LatencySummary
from awml_deploy_ros.node.host_state import gpu_state, host_state

MANIFEST, PARAMETERS, PROVENANCE = "manifest.json", "parameters.yaml", "provenance.json"


def default_folder() -> Path:
    """Where evidence goes unless a parameter says otherwise."""
    home = os.environ.get("ROS_HOME") or "~/.ros"
    return Path(home).expanduser() / "awml_deploy_evidence"


def write_evidence(
    folder: Path,
    node_name: str,
    files: Mapping[str, str],
    latencies: Sequence[LatencySummary],
    reports: Sequence[StatusReport],
) -> Path:
    """Write a pack; it appears whole or not at all.

    Args:
        folder: Gets one folder a pack.
        node_name: Full name of the node.
        files: Content by name of what describes model and parameters.
        latencies: The rolling statistics.
        reports: What diagnostics say now.

    Raises:
        ArtifactError: It cannot be written.
    """
    now = datetime.now(timezone.utc)
    name = f"{now:%Y%m%dT%H%M%S}_{now.microsecond // 1000:03d}_{node_name.strip('/').replace('/', '_')}"
    documents: dict[str, Any] = {
        "host.json": host_state(),
        "gpu.json": gpu_state(),
        "latency.json": [asdict(summary) for summary in latencies],
        "diagnostics.json": [
            {
                "part": report.part,
                "level": report.health.level.name,
                "message": report.health.message,
                "values": dict(report.values),
            }
            for report in reports
        ],
    }
    partial, place = folder / f".{name}", folder / name
    with io_errors(place, "evidence cannot be written"):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            partial.mkdir()
            for file, content in files.items():
                write_text(partial / file, content)
            for file, document in documents.items():
                write_text(partial / file, json.dumps(document, indent=2) + "\n")
            fsync_tree(partial)
            partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return place
