"""What makes a node's results, on a latched topic and as files."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from awml_deploy_msgs import msg as messages
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from awml_deploy_core.packages import installed_versions
from awml_deploy_ros.model import ModelIdentity, OpenModel
from awml_deploy_ros.node.evidence import MANIFEST, PARAMETERS, PROVENANCE
from awml_deploy_ros.node.host_state import gpu_state
from awml_deploy_ros.node_parameters import parameter_file
from awml_deploy_ros.topics import PROVENANCE as TOPIC

_PACKAGES = (
    "awml_deploy_core",
    "awml_extractors",
    "awml_deploy_ros",
    "numpy",
    "numba",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
    "tensorrt-rtx-cu13-bindings",
    "torch",
    "ros-rclpy",
)


@dataclass(frozen=True)
class Provenance:
    """What makes a node's results."""

    identity: ModelIdentity
    bundle_path: str
    manifest: str
    """JSON; empty for a bundle without one."""
    engine_keys: tuple[str, ...]
    versions: Mapping[str, str]
    gpus: tuple[Mapping[str, str], ...]

    @classmethod
    def of(cls, model: OpenModel) -> Provenance:
        """Of an open model on this machine, now."""
        environment = {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "ros_distro": os.environ.get("ROS_DISTRO", ""),
            "rmw": os.environ.get("RMW_IMPLEMENTATION", ""),
        }
        return cls(
            model.identity,
            model.bundle_path,
            model.manifest,
            model.engine_keys,
            {**environment, **installed_versions(_PACKAGES)},
            tuple(gpu_state()["gpus"]),
        )

    def files(self, parameters: str) -> dict[str, str]:
        """Content by file name; ``parameters`` is a parameter file."""
        facts = {**asdict(self), "manifest": MANIFEST if self.manifest else None}
        files = {PROVENANCE: json.dumps(facts, indent=2) + "\n", PARAMETERS: parameters}
        return {**files, MANIFEST: self.manifest} if self.manifest else files

    def message(self, stamp: Any, parameters: str) -> Any:
        """awml_deploy_msgs/Provenance; ``stamp`` is a builtin_interfaces/Time."""
        identity = self.identity
        return messages.Provenance(
            stamp=stamp,
            model=messages.ModelIdentity(
                model_name=identity.model_name,
                bundle_hash=identity.bundle_hash,
                backend=identity.backend,
                device=identity.device,
            ),
            bundle_path=self.bundle_path,
            manifest=self.manifest,
            engine_keys=list(self.engine_keys),
            versions=_named(self.versions),
            gpus=[value for gpu in self.gpus for value in _named(gpu)],
            parameters=parameters,
        )


class ProvenancePublisher:
    """Publishes on a topic that gives who comes later what was published before."""

    def __init__(self, node: Node) -> None:
        self._node = node
        qos = QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
        self._publisher = node.create_publisher(messages.Provenance, TOPIC.name, qos)
        self._parameters: Mapping[str, Any] = {}

    def publish(self, provenance: Provenance, parameters: Mapping[str, Any]) -> None:
        """Publish what is in force now; ``parameters`` by name."""
        self._parameters = parameters
        stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(provenance.message(stamp, parameter_file(parameters)))

    def publish_changes(self, provenance: Provenance, parameters: Mapping[str, Any]) -> None:
        """Publish if the parameters are others than those published last.

        Called many times a second, so that values are compared and not files: a file takes 1.5 ms.
        """
        if parameters != self._parameters:
            self.publish(provenance, parameters)

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)


def _named(values: Mapping[str, str]) -> list[Any]:
    return [messages.NamedValue(name=name, value=str(value)) for name, value in values.items()]
