"""Detections as ROS messages; which ones is a parameter."""

from awml_deploy_ros.outputs.registry import OutputSet, missing_packages

__all__ = ["OutputSet", "missing_packages"]
