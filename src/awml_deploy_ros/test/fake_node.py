"""Runs the node with a fake model as a process.

``FAKE_FAILURE=1`` makes inference raise a bug, ``FAKE_INFER_S`` is how long a frame takes [s].
"""

import os
import sys

from fakes import FakeModels, FakeState

from awml_deploy_ros.centerpoint_node import CenterPointNode
from awml_deploy_ros.node.run import run_model_node
from awml_deploy_ros.process import node_parser

if __name__ == "__main__":
    bug = ZeroDivisionError("a bug") if os.environ.get("FAKE_FAILURE") else None
    state = FakeState(failure=bug, infer_s=float(os.environ.get("FAKE_INFER_S", "0")))
    models = FakeModels(state)
    sys.exit(
        run_model_node(
            node_parser("fake_node", __doc__), lambda fatal: CenterPointNode(fatal, open_model=models)
        )
    )
