"""What nvidia-smi says of the GPUs, without making a context on any."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
from collections.abc import Sequence

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import DeviceError

TOOL = "nvidia-smi"
_TIMEOUT_S = 10.0


def query_gpus(fields: Sequence[str], device: DeviceSpec | None = None) -> list[dict[str, str]]:
    """One mapping from field to text for every GPU.

    Args:
        fields: Of ``nvidia-smi --help-query-gpu``; units are its own: degrees Celsius, W, MHz, %, MiB.
        device: Only this one, as CUDA numbers those that ``CUDA_VISIBLE_DEVICES`` shows; None is all of
            the machine.

    Raises:
        DeviceError: nvidia-smi is not installed, does not answer, or reports a failure.
    """
    tool = shutil.which(TOOL)
    if tool is None:
        raise DeviceError(TOOL, "is not installed", hint="It comes with NVIDIA's driver.")
    command = [tool, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    if device is not None:
        command.append(f"--id={_identifier(device)}")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(TOOL, "does not answer", got=error) from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise DeviceError(TOOL, f"ended with {done.returncode}", got=said)
    rows = csv.reader(io.StringIO(done.stdout), skipinitialspace=True)
    return [dict(zip(fields, (cell.strip() for cell in row), strict=False)) for row in rows if row]


def _identifier(device: DeviceSpec) -> str:
    """Number or UUID of a device for nvidia-smi, which knows nothing of ``CUDA_VISIBLE_DEVICES``."""
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return visible[device.index] if device.index < len(visible) and visible[0] else str(device.index)
