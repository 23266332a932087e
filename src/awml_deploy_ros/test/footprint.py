"""What this process holds."""

import threading
from pathlib import Path

from awml_deploy_ros.node.host_state import process_figures


def shared_memory_files() -> int:
    """Files in /dev/shm that this process has mapped."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return len({line.split()[-1] for line in lines if "/dev/shm/" in line})


def figures() -> dict[str, int]:
    """Memory, threads, descriptors and shared memory."""
    return {**process_figures(), "python_threads": threading.active_count(), "shm": shared_memory_files()}
