"""A node with a fake model and a peer, both spinning in a thread, over real DDS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import rclpy
from fakes import FakeModels
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from processes import TIMEOUT_S
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters, SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2

from awml_deploy_ros.centerpoint_node import CenterPointNode
from awml_deploy_ros.process import FatalErrors

STATES = {
    "unconfigured": State.PRIMARY_STATE_UNCONFIGURED,
    "inactive": State.PRIMARY_STATE_INACTIVE,
    "active": State.PRIMARY_STATE_ACTIVE,
    "finalized": State.PRIMARY_STATE_FINALIZED,
}
NODE = "/ns/centerpoint"
_ATTEMPTS = 5
SERVICES = {
    "change_state": ChangeState,
    "get_state": GetState,
    "set_parameters": SetParameters,
    "set_parameters_atomically": SetParametersAtomically,
    "get_parameters": GetParameters,
    "describe_parameters": DescribeParameters,
}


def wait_until(condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


class Harness:
    """Context manager; needs an initialised rclpy."""

    def __init__(self, **parameters: Any) -> None:
        self.models = FakeModels()
        self.fatal = FatalErrors()
        values = {"model_path": "fake", **parameters}
        self.node = CenterPointNode(
            self.fatal,
            open_model=self.models,
            namespace="ns",
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        self.peer = rclpy.create_node("peer")
        self.publisher = self.peer.create_publisher(
            PointCloud2, f"{NODE}/input/pointcloud", qos_profile_sensor_data
        )
        self._collecting: list[Any] = []
        self._clients = {service: self._client(service) for service in SERVICES}
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._executor.add_node(self.peer)
        self._thread = threading.Thread(target=self._executor.spin)

    def __enter__(self) -> Harness:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.models.state.gate is not None:
            self.models.state.gate.set()
        self._executor.shutdown()
        self._thread.join()
        self.node.close()
        self.node.destroy_node()
        self.peer.destroy_node()

    @property
    def spinning(self) -> bool:
        """Whether node and peer are served."""
        return self._thread.is_alive()

    def exclude(self, group: Any) -> None:
        """Serve everything but a callback group from now on."""
        usual = self._executor.can_execute
        self._executor.can_execute = lambda e: e.callback_group is not group and usual(e)

    def collect(self, kind: Any, topic: str) -> list[Any]:
        """Messages of a topic of the node, as they arrive."""
        messages: list[Any] = []
        name = topic if topic.startswith("/") else f"{NODE}/{topic}"
        self._collecting.append(self.peer.create_subscription(kind, name, messages.append, 50))
        return messages

    def call(self, service: str, request: Any) -> Any:
        # Now and then Fast DDS never matches two endpoints of one participant; new ones it does.
        for _ in range(_ATTEMPTS):
            if self._clients[service].wait_for_service(timeout_sec=2.0):
                return self._clients[service].call(request)
            self.peer.destroy_client(self._clients[service])
            self._clients[service] = self._client(service)
        raise AssertionError(f"{service} is not there after {_ATTEMPTS} attempts")

    def _client(self, service: str) -> Any:
        return self.peer.create_client(SERVICES[service], f"{NODE}/{service}")

    def change(self, transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self.call("change_state", request).success)

    def state(self) -> int:
        return int(self.call("get_state", GetState.Request()).current_state.id)

    def configure(self) -> bool:
        return self.change(Transition.TRANSITION_CONFIGURE)

    def activate(self) -> bool:
        """Activate and wait until a cloud would arrive and what comes of it would be collected."""
        done = self.change(Transition.TRANSITION_ACTIVATE)
        assert wait_until(self._connected)
        return done

    def _connected(self) -> bool:
        # Either side may have matched the other while the other has not yet.
        return self.publisher.get_subscription_count() > 0 and all(
            count > 0
            for count in (
                self.node._stream.subscription.publishers,
                *(subscription.get_publisher_count() for subscription in self._collecting),
            )
        )

    def set_parameters(self, **values: Any) -> list[Any]:
        """Set parameters one by one."""
        request = SetParameters.Request(parameters=_messages(values))
        return list(self.call("set_parameters", request).results)

    def set_atomically(self, **values: Any) -> Any:
        request = SetParametersAtomically.Request(parameters=_messages(values))
        return self.call("set_parameters_atomically", request).result

    def get_parameter(self, name: str) -> Any:
        return self.call("get_parameters", GetParameters.Request(names=[name])).values[0]

    def describe(self, names: list[str]) -> list[Any]:
        request = DescribeParameters.Request(names=names)
        return list(self.call("describe_parameters", request).descriptors)


def _messages(values: dict[str, Any]) -> list[Any]:
    return [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
