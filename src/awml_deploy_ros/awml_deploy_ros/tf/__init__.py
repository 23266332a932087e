"""Where frames are relative to each other at exact times: /tf and /tf_static."""

from awml_deploy_ros.tf.buffer import TransformBuffer, TransformStore
from awml_deploy_ros.tf.pose import FrameTransform, Pose
from awml_deploy_ros.tf.problems import TransformProblem, TransformUnavailableError
from awml_deploy_ros.tf.tree import TransformTree

__all__ = [
    "FrameTransform",
    "Pose",
    "TransformBuffer",
    "TransformProblem",
    "TransformStore",
    "TransformTree",
    "TransformUnavailableError",
]
