"""Plays a bag into the node ``centerpoint`` and judges what comes of it; the launch fails if that does.

ros2 launch awml_deploy_ros replay_verification.launch.py bag:=<rosbag2> model_path:=<bundle>
"""

import shlex
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

PACKAGE = "awml_deploy_ros"
NODE_NAME = "centerpoint"
CLOUDS = "/replay_verification/pointcloud"
"""The clouds go over a topic of this launch's own, whatever they are called in the bag."""
NOT_GIVEN = ""

OPTIONS = {
    "topic": "Topic of the clouds in the bag (default: its only PointCloud2).",
    "reference": "BACKEND:DEVICE whose boxes every frame's have to match.",
    "ground_truth": "Info file (T4, nuScenes); one beside the bag is found.",
    "budget": "latency_budget.yaml to keep.",
    "baseline": "Report folder of an earlier replay of the bag, to compare with.",
}
"""Arguments that are options of ``replay``."""


def _share() -> Path:
    return Path(get_package_share_directory(PACKAGE))


def _arguments() -> list[DeclareLaunchArgument]:
    defaults = {"backend": "onnxruntime", "device": "cpu"}
    return [
        DeclareLaunchArgument("bag", description="The rosbag2: its folder, or a .db3 or .mcap file."),
        DeclareLaunchArgument("model_path", description="Folder of the model bundle."),
        DeclareLaunchArgument(
            "report", default_value="output/replay", description="Folder of the results."
        ),
        DeclareLaunchArgument("rate", default_value="10.0", description="Clouds a second [Hz]."),
        DeclareLaunchArgument(
            "param_file",
            default_value=str(_share() / "config" / "centerpoint" / "node.param.yaml"),
            description="Parameter file of the node.",
        ),
        *(
            DeclareLaunchArgument(name, default_value=value, description=f"Of the node: {name}.")
            for name, value in defaults.items()
        ),
        DeclareLaunchArgument(
            "checkpoint_path",
            default_value=NOT_GIVEN,
            description="Trained weights, for a backend or reference that runs the module itself.",
        ),
        *(
            DeclareLaunchArgument(name, default_value=NOT_GIVEN, description=text)
            for name, text in OPTIONS.items()
        ),
        DeclareLaunchArgument(
            "more",
            default_value=NOT_GIVEN,
            description="Further arguments of replay, e.g. '--floor mean_ap=0.5 --pictures 4'.",
        ),
    ]


def _start(context: LaunchContext) -> list:
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    shared = {name: value(name) for name in ("param_file", "backend", "device", "checkpoint_path")}
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(_share() / "launch" / "centerpoint.launch.py")),
        launch_arguments={
            "name": NODE_NAME,
            "model_path": value("model_path"),
            "input/pointcloud": CLOUDS,
            **{name: text for name, text in shared.items() if text != NOT_GIVEN},
        }.items(),
    )
    judge = Node(
        package=PACKAGE,
        executable="replay",
        arguments=_command_line(value),
        # No terminal: it would draw progress bars over the node's log.
        output="both",
        on_exit=[OpaqueFunction(function=_end)],
    )
    return [node, judge]


def _command_line(value) -> list[str]:
    options = {
        "model": value("model_path"),
        "params": value("param_file"),
        "backend": value("backend"),
        "device": value("device"),
        "checkpoint": value("checkpoint_path"),
        "report": value("report"),
        "rate": value("rate"),
        "mode": "live",
        "attach": f"/{NODE_NAME}",
        "input-topic": CLOUDS,
        **{name.replace("_", "-"): value(name) for name in OPTIONS},
    }
    given = [part for name, text in options.items() if text != NOT_GIVEN for part in (f"--{name}", text)]
    return [value("bag"), *given, *shlex.split(value("more"))]


def _end(context: LaunchContext) -> list:
    # A second shutdown, after Ctrl-C, makes launch_ros fail and the exit code lie.
    if context.is_shutdown:
        return []
    # After a Shutdown the launch would end with 0, whatever the verdict is.
    if code := context.locals.event.returncode:
        raise RuntimeError(f"the replay did not pass: exit code {code}")
    return [Shutdown(reason="the replay passed")]


def generate_launch_description() -> LaunchDescription:
    """The arguments, the node and who judges it."""
    return LaunchDescription([*_arguments(), OpaqueFunction(function=_start)])
