"""Lifecycle transitions whose unexpected exceptions end the process."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from awml_deploy_ros.process import FatalErrors


class GuardedLifecycleNode(LifecycleNode):  # type: ignore[misc]
    """Base that turns transitions into five methods, which a subclass implements.

    Args:
        name: Of the node.
        fatal: Where unexpected exceptions go.
        node_options: Passed to rclpy's LifecycleNode.
    """

    def __init__(self, name: str, fatal: FatalErrors, **node_options: Any) -> None:
        super().__init__(name, **node_options)
        self.fatal = fatal

    def _configure_or_say_why(self) -> bool:
        """Whether the node is configured now."""
        raise NotImplementedError

    def _subscribe(self) -> None:
        raise NotImplementedError

    def _unsubscribe(self) -> None:
        raise NotImplementedError

    def _release(self) -> None:
        raise NotImplementedError

    def _finalize(self) -> None:
        raise NotImplementedError

    def destroy_node(self) -> None:
        """Destroy the node, so that it leaves the graph now. Calling it twice is allowed.

        rclpy frees the state machine, which keeps the node and its services alive, with its Python object
        only. Until the collector finds that, others see the node and ask its services in vain.
        """
        super().destroy_node()
        if (machine := vars(self).pop("_state_machine", None)) is not None:
            machine.destroy_when_not_in_use()

    def start(self) -> None:
        """Configure and activate where the parameter ``autostart`` says so."""
        if not self.get_parameter("autostart").value:
            return
        configured = self.trigger_configure() == TransitionCallbackReturn.SUCCESS
        if configured and not self.fatal.stop.is_set():
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(self._configure_or_say_why)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(self._subscribe)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(self._unsubscribe)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(self._release)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(self._finalize)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        # The exception is on its way to the main thread, which ends the process.
        return TransitionCallbackReturn.FAILURE

    def _transition(self, work: Callable[[], bool | None]) -> TransitionCallbackReturn:
        """Do the work of a transition; False says that it is refused."""
        with self.fatal:
            return TransitionCallbackReturn.FAILURE if work() is False else TransitionCallbackReturn.SUCCESS
        return TransitionCallbackReturn.ERROR


def spare_collections(resources: ExitStack) -> None:
    """Keep the collector from what lives as long as the resources: a full search takes 100 ms."""
    gc.collect()
    gc.freeze()
    resources.callback(gc.unfreeze)
