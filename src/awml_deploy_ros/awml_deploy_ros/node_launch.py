"""What the launch files of the nodes share; needs launch and launch_ros."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

from awml_deploy_core.packages import plugin_names
from awml_deploy_ros.parameter_spec import ParameterSpec
from awml_deploy_ros.transport import large_cloud_environment

PACKAGE = "awml_deploy_ros"
BOOL = ["true", "false"]
FROM_FILE = "from_param_file"


@dataclass(frozen=True)
class LaunchTopic:
    """A topic of the node that an argument renames."""

    name: str
    """Without ``~/``, as the argument is named."""
    default: str
    description: str


@dataclass(frozen=True, eq=False)
class NodeLaunch:
    """Starts one node, which takes itself to the active state."""

    name: str
    """Of the node; also of its folder in config, and, with ``_node``, of its executable."""
    specs: Sequence[ParameterSpec]
    """Its parameters; those that say so become arguments."""
    topics: Sequence[LaunchTopic]
    extra_arguments: Sequence[DeclareLaunchArgument] = ()
    extra_actions: Callable[[Callable[[str], str]], list[Any]] = field(default=lambda value: [])
    """Makes more actions, given what gives the value of an argument."""

    def config(self, name: str) -> Path:
        """An installed file of the node's configuration."""
        return Path(get_package_share_directory(PACKAGE), "config", self.name, name)

    def description(self) -> LaunchDescription:
        """The arguments and the node."""
        return LaunchDescription([*self.arguments(), OpaqueFunction(function=self.start)])

    def arguments(self) -> list[DeclareLaunchArgument]:
        """All arguments, those of the node's own launch file before the last."""
        return [
            DeclareLaunchArgument("name", default_value=self.name, description="Name of the node."),
            DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node."),
            *(
                DeclareLaunchArgument(
                    topic.name, default_value=topic.default, description=topic.description
                )
                for topic in self.topics
            ),
            DeclareLaunchArgument(
                "param_file",
                default_value=str(self._default_param_file()),
                description="Parameter file; the arguments below override it, unless they are "
                f"{FROM_FILE}.",
            ),
            *map(_parameter_argument, self._launched()),
            DeclareLaunchArgument(
                "use_sim_time",
                # Not false: that would override SetParameter in a file that includes this one.
                default_value=FROM_FILE,
                choices=[FROM_FILE, *BOOL],
                description="Follow /clock.",
            ),
            DeclareLaunchArgument(
                "autostart",
                default_value="true",
                choices=BOOL,
                description="Configure and activate the node.",
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
                "already. The process that publishes them needs the same.",
            ),
            *self.extra_arguments,
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=["debug", "info", "warn", "error", "fatal"],
                description="Log level of the node.",
            ),
        ]

    def start(self, context: LaunchContext) -> list[Any]:
        """The node and what belongs to it.

        Raises:
            RuntimeError: An argument is invalid.
        """

        def value(name: str) -> str:
            return LaunchConfiguration(name).perform(context)

        return [self._node(value), *self.extra_actions(value)]

    def _node(self, value: Callable[[str], str]) -> LifecycleNode:
        param_file = Path(value("param_file")).expanduser()
        # launch_ros only warns of a missing file and would start the node with other parameters.
        if not param_file.is_file():
            raise RuntimeError(
                f"param_file: {param_file} is not a file. Give a copy of {self._default_param_file()}"
            )
        overrides = {
            spec.name: _integer(spec.name, value(spec.name)) if spec.type == "int" else value(spec.name)
            for spec in self._launched()
            if value(spec.name) != FROM_FILE
        }
        switches = {
            name: value(name) == "true"
            for name in ("use_sim_time", "autostart")
            if value(name) != FROM_FILE
        }
        respawn = value("respawn") == "true"
        environment = large_cloud_environment() if value("large_cloud_transport") == "true" else {}
        return LifecycleNode(
            package=PACKAGE,
            executable=f"{self.name}_node",
            name=value("name"),
            namespace=value("namespace"),
            # The node takes itself to active. A transition requested from here would go astray after a
            # respawn: the service of the process that died is known for some seconds longer.
            parameters=[str(param_file), switches, overrides],
            remappings=[(f"~/{topic.name}", value(topic.name)) for topic in self.topics],
            ros_arguments=["--log-level", value("log_level")],
            # For this process only: SetEnvironmentVariable would reach all later ones of an including
            # file.
            additional_env=environment,
            output="both",
            emulate_tty=True,
            respawn=respawn,
            respawn_delay=1.0,
            on_exit=None if respawn else [OpaqueFunction(function=shut_down_once)],
        )

    def _launched(self) -> list[ParameterSpec]:
        return [spec for spec in self.specs if spec.launch_argument]

    def _default_param_file(self) -> Path:
        return self.config("node.param.yaml")


def _parameter_argument(spec: ParameterSpec) -> DeclareLaunchArgument:
    choices: dict[str, list[str]] = {}
    if spec.name == "backend":
        choices = {"choices": [FROM_FILE, *plugin_names("awml_deploy.backends")]}
    return DeclareLaunchArgument(
        spec.name, default_value=FROM_FILE, description=spec.description, **choices
    )


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise RuntimeError(f"{name}: {text!r} is not an integer, expected e.g. 4") from None


def shut_down_once(context: LaunchContext) -> list[Any]:
    """Actions for the end of the node.

    Raises:
        RuntimeError: It ended with an error.
    """
    # A second shutdown, after Ctrl-C, makes launch_ros fail and the exit code lie.
    if context.is_shutdown:
        return []
    # After a Shutdown the launch would end with 0, whatever became of the node.
    if code := context.locals.event.returncode:
        raise RuntimeError(f"the node ended with exit code {code}")
    return [Shutdown(reason="the node ended")]
