"""Runs the node with a fake model as a process. ``FAKE_FAILURE=1`` makes inference raise a bug."""

import os
import sys
from functools import partial

from fakes import FakeModels, FakeState

from awml_deploy_ros.centerpoint_node import CenterPointNode
from awml_deploy_ros.process import run_node

if __name__ == "__main__":
    bug = ZeroDivisionError("a bug") if os.environ.get("FAKE_FAILURE") else None
    sys.exit(run_node(partial(CenterPointNode, open_model=FakeModels(FakeState(failure=bug)))))
