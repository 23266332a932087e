"""Starts the node ``centerpoint`` and takes it to the active state.

ros2 launch awml_deploy_ros centerpoint.launch.py model_path:=<bundle> input/pointcloud:=<topic>
"""

from collections.abc import Callable

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch_ros.actions import Node

from awml_deploy_ros.node_launch import BOOL, LaunchTopic, NodeLaunch
from awml_deploy_ros.parameters import TABLE


def _rviz(value: Callable[[str], str]) -> list:
    if value("rviz") != "true":
        return []
    full_name = "/".join(["", *filter(None, value("namespace").split("/")), value("name")])
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            name=f"{value('name')}_rviz",
            arguments=["-d", str(LAUNCH.config("centerpoint.rviz"))],
            parameters=[{"use_sim_time": value("use_sim_time") == "true"}],
            remappings=[
                ("/points", value("input/pointcloud")),
                ("/centerpoint/output/markers", f"{full_name}/output/markers"),
            ],
            output="log",
        )
    ]


LAUNCH = NodeLaunch(
    "centerpoint",
    TABLE,
    (
        LaunchTopic(
            "input/pointcloud",
            "/sensing/lidar/concatenated/pointcloud",
            "Topic of the clouds (sensor_msgs/PointCloud2).",
        ),
        LaunchTopic(
            "output/objects",
            "~/output/objects",
            "Topic of the objects (autoware_perception_msgs/DetectedObjects), published if the parameter "
            "outputs has detected_objects.",
        ),
    ),
    (
        DeclareLaunchArgument(
            "rviz", default_value="false", choices=BOOL, description="Show clouds and boxes in RViz."
        ),
    ),
    _rviz,
)


def generate_launch_description() -> LaunchDescription:
    """The arguments and the node."""
    return LAUNCH.description()
