"""Starts the node ``calibration_status`` and takes it to the active state.

ros2 launch awml_deploy_ros calibration_status.launch.py model_path:=<bundle> input/image:=<topic> \\
    input/camera_info:=<topic> input/pointcloud:=<topic>
"""

from launch import LaunchDescription

from awml_deploy_ros.image_parameters import CALIBRATION_STATUS
from awml_deploy_ros.node_launch import LaunchTopic, NodeLaunch

LAUNCH = NodeLaunch(
    "calibration_status",
    CALIBRATION_STATUS.specs,
    (
        LaunchTopic(
            "input/pointcloud",
            "/sensing/lidar/concatenated/pointcloud",
            "Topic of the clouds (sensor_msgs/PointCloud2).",
        ),
        LaunchTopic(
            "input/image", "/sensing/camera/camera0/image_raw", "Topic of the images (sensor_msgs/Image)."
        ),
        LaunchTopic(
            "input/camera_info",
            "/sensing/camera/camera0/camera_info",
            "Topic of the camera's calibration (sensor_msgs/CameraInfo).",
        ),
    ),
)


def generate_launch_description() -> LaunchDescription:
    """The arguments and the node."""
    return LAUNCH.description()
