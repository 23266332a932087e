"""Stands in for the program of the reference process: answers as the environment tells it to.

``FAKE_REFERENCE``: ``agree``, ``disagree``, ``refuse``, ``fatal``, ``die`` (with the first frame) or
``hang``.
"""

import json
import os
import sys
import time

mode = os.environ["FAKE_REFERENCE"]
results = os.fdopen(int(sys.argv[sys.argv.index("--results") + 1]), "w")


def send(message):
    results.write(json.dumps(message) + "\n")
    results.flush()


if mode == "fatal":
    send({"fatal": "ArtifactError: no such bundle"})
    sys.exit(2)
send({"ready": True})
for line in sys.stdin:
    request = json.loads(line)
    if mode == "die":
        sys.exit(7)
    if mode == "hang":
        time.sleep(600)
    if mode == "refuse":
        send({"id": request["id"], "error": "InferenceError: no"})
        continue
    agrees = mode == "agree"
    message = "1 boxes matched one to one" if agrees else "1 of 1 test boxes have no partner"
    details = {"matched": int(agrees), "only_in_test": [] if agrees else [{}], "worst": {"position": 0.25}}
    figures = {"boxes": [], "reference_ms": 5.0, "busy_s": 0.001}
    send({"id": request["id"], "agrees": agrees, "message": message, "details": details, **figures})
