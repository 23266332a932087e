"""The programs of this package: ``python -m awml_deploy_ros PROGRAM ...``."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from awml_deploy_ros import signals

_MODULES = {
    "centerpoint_node": "centerpoint_node",
    "yolox_node": "yolox_node",
    "calibration_status_node": "calibration_status_node",
    "bag_player": "bag_player",
    "bag_recorder": "bag_recorder",
    "clean_shared_memory": "shared_memory",
    "monitor": "live.monitor",
    "replay": "replay.cli",
    "replay_job": "replay.worker",
    "rerun_log": "rerun_log",
}


def run_program(name: str) -> int:
    """Run a program with the command line in ``sys.argv``; return its exit code."""
    # Before rclpy and the messages, whose import takes a second: see the module signals.
    signals.catch()
    code: int = import_module(f"awml_deploy_ros.{_MODULES[name]}").main()
    return code


def centerpoint_node() -> int:
    return run_program("centerpoint_node")


def yolox_node() -> int:
    return run_program("yolox_node")


def calibration_status_node() -> int:
    return run_program("calibration_status_node")


def bag_player() -> int:
    return run_program("bag_player")


def bag_recorder() -> int:
    return run_program("bag_recorder")


def clean_shared_memory() -> int:
    return run_program("clean_shared_memory")


def replay() -> int:
    return run_program("replay")


def rerun_log() -> int:
    return run_program("rerun_log")


def main() -> int:
    """Run the program that the first argument names, with the other arguments."""
    parser = argparse.ArgumentParser(prog="python -m awml_deploy_ros", description=__doc__)
    parser.add_argument("program", choices=_MODULES)
    chosen = parser.parse_args(sys.argv[1:2])
    sys.argv = [chosen.program, *sys.argv[2:]]
    return run_program(chosen.program)
