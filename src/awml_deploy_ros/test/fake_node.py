"""Runs the node with a fake model as a process.

``FAKE_FAILURE`` makes inference raise: ``bug``, or ``lost`` for a GPU that is lost. ``FAKE_INFER_S`` is
how long a frame takes [s].
"""

import os
import sys

from fakes import FakeModels, FakeState

from awml_deploy_core.errors import DeviceLostError
from awml_deploy_ros.centerpoint_node import CenterPointNode
from awml_deploy_ros.node.run import run_model_node
from awml_deploy_ros.process import node_parser

FAILURES: dict[str, Exception] = {
    "bug": ZeroDivisionError("a bug"),
    "lost": DeviceLostError("cuda:0", "is lost", hint="Restart the process."),
}

if __name__ == "__main__":
    failure = FAILURES.get(os.environ.get("FAKE_FAILURE", ""))
    state = FakeState(failure=failure, infer_s=float(os.environ.get("FAKE_INFER_S", "0")))
    models = FakeModels(state)
    sys.exit(
        run_model_node(
            node_parser("fake_node", __doc__), lambda fatal: CenterPointNode(fatal, open_model=models)
        )
    )
