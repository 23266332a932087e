"""A child process never outlives what it was started for."""

import os
import signal
from pathlib import Path

from harness import wait_until
from processes import Process

PARENT = """
import os, sys
from pathlib import Path
from awml_deploy_ros.live.child import ChildProcess

folder = Path(sys.argv[1])
arguments = (str(folder / "status.json"), "--node", "/centerpoint", "--input", "/points")
with ChildProcess("monitor", arguments, folder / "monitor.log", os.environ) as child:
    print("child", child.pid, flush=True)
    input()
"""


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_the_death_of_the_parent_ends_the_child_in_order(tmp_path: Path) -> None:
    with Process("-c", PARENT, str(tmp_path)) as parent:
        parent.wait_for("\n")
        child = int(parent.output.split()[1])
        assert wait_until(lambda: (tmp_path / "status.json").exists())
        os.kill(parent.pid, signal.SIGKILL)
        assert parent.finish() == -signal.SIGKILL
        assert wait_until(lambda: not is_running(child))
    assert (tmp_path / "monitor.log").read_text() == ""
