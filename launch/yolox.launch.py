"""Starts the node ``yolox`` and takes it to the active state.

ros2 launch awml_deploy_ros yolox.launch.py model_path:=<bundle> input/image:=<topic>
"""

from launch import LaunchDescription

from awml_deploy_ros.image_parameters import YOLOX
from awml_deploy_ros.node_launch import LaunchTopic, NodeLaunch

LAUNCH = NodeLaunch(
    "yolox",
    YOLOX.specs,
    (
        LaunchTopic(
            "input/image", "/sensing/camera/camera0/image_raw", "Topic of the images (sensor_msgs/Image)."
        ),
        LaunchTopic(
            "output/detections",
            "~/output/detections",
            "Topic of the detections (vision_msgs/Detection2DArray), published if the parameter outputs "
            "has detection2d.",
        ),
    ),
)


def generate_launch_description() -> LaunchDescription:
    """The arguments and the node."""
    return LAUNCH.description()
