"""Starts the node ``centerpoint`` and takes it to the active state.

ros2 launch awml_deploy_ros centerpoint.launch.py model_path:=<bundle> input/pointcloud:=<topic>
"""

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from awml_deploy_ros.parameters import TABLE
from awml_deploy_ros.transport import large_cloud_environment

PACKAGE = "awml_deploy_ros"
BOOL = ["true", "false"]
FROM_FILE = "from_param_file"


def _config(name: str) -> Path:
    return Path(get_package_share_directory(PACKAGE), "config", "centerpoint", name)


def _default_param_file() -> Path:
    return _config("node.param.yaml")


def _arguments() -> list[DeclareLaunchArgument]:
    backends = sorted({point.name for point in entry_points(group="awml_deploy.backends")})
    return [
        DeclareLaunchArgument("name", default_value="centerpoint", description="Name of the node."),
        DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node."),
        DeclareLaunchArgument(
            "input/pointcloud",
            default_value="/sensing/lidar/concatenated/pointcloud",
            description="Topic of the clouds (sensor_msgs/PointCloud2).",
        ),
        DeclareLaunchArgument(
            "output/objects",
            default_value="~/output/objects",
            description="Topic of the objects (autoware_perception_msgs/DetectedObjects), "
            "published if the parameter outputs has detected_objects.",
        ),
        DeclareLaunchArgument(
            "param_file",
            default_value=str(_default_param_file()),
            description=f"Parameter file; the arguments below override it, unless they are {FROM_FILE}.",
        ),
        *(
            DeclareLaunchArgument(
                spec.name,
                default_value=FROM_FILE,
                description=spec.description,
                **({"choices": [FROM_FILE, *backends]} if spec.name == "backend" else {}),
            )
            for spec in TABLE
            if spec.launch_argument
        ),
        DeclareLaunchArgument(
            "use_sim_time",
            # Not false: that would override SetParameter in a file that includes this one.
            default_value=FROM_FILE,
            choices=[FROM_FILE, *BOOL],
            description="Follow /clock.",
        ),
        DeclareLaunchArgument(
            "autostart", default_value="true", choices=BOOL, description="Configure and activate the node."
        ),
        DeclareLaunchArgument(
            "respawn",
            default_value="false",
            choices=BOOL,
            description="Start the node again if it ends; otherwise its end ends the launch.",
        ),
        DeclareLaunchArgument(
            "large_cloud_transport",
            default_value="true",
            choices=BOOL,
            description="Give this node's Fast DDS room for large messages, unless a profile is set "
            "already. The process that publishes the clouds needs the same.",
        ),
        DeclareLaunchArgument(
            "rviz",
            default_value="false",
            choices=BOOL,
            description="Show clouds and boxes in RViz.",
        ),
        DeclareLaunchArgument(
            "log_level",
            default_value="info",
            choices=["debug", "info", "warn", "error", "fatal"],
            description="Log level of the node.",
        ),
    ]


def _start(context: LaunchContext) -> list:
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    param_file = Path(value("param_file")).expanduser()
    # launch_ros only warns of a missing file and would start the node with other parameters.
    if not param_file.is_file():
        raise RuntimeError(
            f"param_file: {param_file} is not a file. Give a copy of {_default_param_file()}"
        )
    overrides = {
        spec.name: _integer(spec.name, value(spec.name)) if spec.type == "int" else value(spec.name)
        for spec in TABLE
        if spec.launch_argument and value(spec.name) != FROM_FILE
    }
    switches = {
        name: value(name) == "true" for name in ("use_sim_time", "autostart") if value(name) != FROM_FILE
    }
    respawn = value("respawn") == "true"
    environment = large_cloud_environment() if value("large_cloud_transport") == "true" else {}
    node = LifecycleNode(
        package=PACKAGE,
        executable="centerpoint_node",
        name=value("name"),
        namespace=value("namespace"),
        # The node takes itself to active. A transition requested from here would go astray after a
        # respawn: the service of the process that died is known for some seconds longer.
        parameters=[str(param_file), switches, overrides],
        remappings=[
            ("~/input/pointcloud", value("input/pointcloud")),
            ("~/output/objects", value("output/objects")),
        ],
        ros_arguments=["--log-level", value("log_level")],
        # For this process only: SetEnvironmentVariable would reach all later ones of an including file.
        additional_env=environment,
        output="both",
        emulate_tty=True,
        respawn=respawn,
        respawn_delay=1.0,
        on_exit=None if respawn else [OpaqueFunction(function=_shut_down_once)],
    )
    return [node, _rviz(value)] if value("rviz") == "true" else [node]


def _rviz(value: Callable[[str], str]) -> Node:
    full_name = "/".join(["", *filter(None, value("namespace").split("/")), value("name")])
    return Node(
        package="rviz2",
        executable="rviz2",
        name=f"{value('name')}_rviz",
        arguments=["-d", str(_config("centerpoint.rviz"))],
        parameters=[{"use_sim_time": value("use_sim_time") == "true"}],
        remappings=[
            ("/points", value("input/pointcloud")),
            ("/centerpoint/output/markers", f"{full_name}/output/markers"),
        ],
        output="log",
    )


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise RuntimeError(f"{name}: {text!r} is not an integer, expected e.g. 4") from None


def _shut_down_once(context: LaunchContext) -> list:
    # A second shutdown, after Ctrl-C, makes launch_ros fail and the exit code lie.
    if context.is_shutdown:
        return []
    # After a Shutdown the launch would end with 0, whatever became of the node.
    if code := context.locals.event.returncode:
        raise RuntimeError(f"the node ended with exit code {code}")
    return [Shutdown(reason="the node ended")]


def generate_launch_description() -> LaunchDescription:
    """The arguments and the node."""
    return LaunchDescription([*_arguments(), OpaqueFunction(function=_start)])
