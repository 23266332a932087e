"""Lifecycle node ``centerpoint``: clouds in, detections and their record out."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2

from awml_deploy_core.errors import AwmlDeployError, ProcessError
from awml_deploy_core.pipeline import StageLatency
from awml_deploy_ros import logging_bridge, ros_parameters
from awml_deploy_ros.cloud_input import field_mapping, frame_of
from awml_deploy_ros.counters import DropReason, FrameCounters
from awml_deploy_ros.diagnostics import (
    DiagnosticsPublisher,
    health_status,
    latency_status,
    modelless_status,
)
from awml_deploy_ros.frame import HeaderAge, ProcessedFrame, header_age
from awml_deploy_ros.health import Health, HealthLimits, HealthMonitor, Level
from awml_deploy_ros.latency import RollingLatency
from awml_deploy_ros.model import ModelOpener, OpenModel, open_bundle, warm_up, with_options
from awml_deploy_ros.namesakes import Namesakes
from awml_deploy_ros.outputs import OutputSet
from awml_deploy_ros.outputs.base import OutputContext
from awml_deploy_ros.parameters import (
    AT_START,
    NodeSettings,
    ParameterSpec,
    check_value,
    model_specs,
    pipeline_options,
)
from awml_deploy_ros.process import FatalErrors, node_parser, run_node
from awml_deploy_ros.qos_events import lost_message_events
from awml_deploy_ros.topics import POINT_CLOUD
from awml_deploy_ros.worker import InferenceWorker


class CenterPointNode(LifecycleNode):
    """Loads and warms up on configure, subscribes on activate, frees on cleanup.

    Args:
        fatal: Where unexpected exceptions go.
        open_model: Opens the model that the parameters name.
    """

    def __init__(
        self, fatal: FatalErrors, *, open_model: ModelOpener = open_bundle, **node_options: Any
    ) -> None:
        super().__init__("centerpoint", **node_options)
        self._fatal = fatal
        self._open_model = open_model
        self._specs: dict[str, ParameterSpec] = {spec.name: spec for spec in AT_START}
        self._resources = ExitStack()
        self._model: OpenModel | None = None
        self._worker: InferenceWorker | None = None
        self._subscription: Any = None
        self._log_handler = logging_bridge.connect(self.get_logger())
        ros_parameters.declare(self, AT_START)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._configure_error = ""
        self._finalized = False
        self._namesakes = Namesakes(self)
        interval_ms = self.get_parameter("diagnostics.validation_callback_interval_ms").value
        self._diagnostics = DiagnosticsPublisher(self, interval_ms * 1e-3, self._judge)

    def start(self) -> None:
        """Configure and activate where the parameter ``autostart`` says so."""
        if not self.get_parameter("autostart").value:
            return
        configured = self.trigger_configure() == TransitionCallbackReturn.SUCCESS
        if configured and not self._fatal.stop.is_set():
            self.trigger_activate()

    def close(self) -> None:
        """Stop and free everything, in whatever state the node is."""
        self._unsubscribe()
        self._release()
        self._diagnostics.close()
        logging_bridge.disconnect(self._log_handler)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self._fatal:
            try:
                self._configure()
            except AwmlDeployError as error:
                self._release()
                self._configure_error = f"{type(error).__name__}: {error}"
                self.get_logger().error(self._configure_error)
                return TransitionCallbackReturn.FAILURE
            return TransitionCallbackReturn.SUCCESS
        return TransitionCallbackReturn.ERROR

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self._fatal:
            self._subscribe()
            return TransitionCallbackReturn.SUCCESS
        return TransitionCallbackReturn.ERROR

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self._fatal:
            self._unsubscribe()
            return TransitionCallbackReturn.SUCCESS
        return TransitionCallbackReturn.ERROR

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self._fatal:
            self._release()
            return TransitionCallbackReturn.SUCCESS
        return TransitionCallbackReturn.ERROR

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        with self._fatal:
            self._unsubscribe()
            self._release()
            self._finalized = True
            return TransitionCallbackReturn.SUCCESS
        return TransitionCallbackReturn.ERROR

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        # The exception is on its way to the main thread, which ends the process.
        return TransitionCallbackReturn.FAILURE

    def _configure(self) -> None:
        self._configure_error = ""
        settings = NodeSettings.from_values(ros_parameters.read(self, AT_START))
        self._decode = partial(
            frame_of,
            mapping=field_mapping(settings.field_mapping),
            check_is_dense=settings.check_is_dense,
        )
        start = time.monotonic()
        self.get_logger().info(f"configuring {settings.model_path}")
        model = self._open_model(settings)
        self._resources.callback(model.pipeline.close)
        class_names = warm_up(model.pipeline, settings.warm_up_frames, self._require_not_stopped)
        self._declare_options(model.pipeline.option_values())
        if unknown := ros_parameters.unknown(self):
            self.get_logger().warning(f"parameters that this node does not have: {', '.join(unknown)}")
        self._pipeline = with_options(model.pipeline, pipeline_options(self._values()))
        self._counters = FrameCounters()
        self._latency = RollingLatency(settings.latency_window)
        self._monitor = HealthMonitor(time.monotonic_ns())
        self._outputs = OutputSet(
            settings.outputs,
            OutputContext(self, model.identity, self._counters, self._age_of, settings.marker_lifetime_ms),
        )
        self._resources.callback(self._outputs.close)
        self._model = model
        self._spare_collections()
        identity = model.identity
        self.get_logger().info(
            f"configured {identity.model_name} ({', '.join(class_names)}) on {identity.backend} "
            f"{identity.device} in {time.monotonic() - start:.1f} s; bundle {identity.bundle_hash[:12]}"
        )

    def _require_not_stopped(self) -> None:
        """Whoever ends the process kills it some seconds later, which is less than a configure may take."""
        if self._fatal.stop.is_set():
            raise ProcessError(self.get_name(), "was told to end while it was being configured")

    def _spare_collections(self) -> None:
        """Keep the collector from what lives as long as the model: a full search takes 100 ms."""
        gc.collect()
        gc.freeze()
        self._resources.callback(gc.unfreeze)

    def _release(self) -> None:
        self._model = None
        self._resources.close()

    def _subscribe(self) -> None:
        self._monitor = HealthMonitor(time.monotonic_ns())
        self._worker = InferenceWorker(
            lambda: self._pipeline,
            self._decode,
            self._counters,
            self._publish,
            self._report_error,
            self._fatal,
        )
        self._worker.start()
        self._subscription = self.create_subscription(
            PointCloud2,
            POINT_CLOUD.name,
            partial(self._on_cloud, self._worker),
            qos_profile_sensor_data,
            event_callbacks=lost_message_events(
                partial(self._counters.count_dropped, DropReason.LOST_IN_TRANSPORT)
            ),
        )
        self.get_logger().info(f"active on {self._subscription.topic_name}")

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _on_cloud(self, worker: InferenceWorker, message: Any) -> None:
        self._monitor.cloud_arrived(time.monotonic_ns())
        worker.submit(message)

    def _publish(self, frame: ProcessedFrame) -> None:
        frame = self._outputs.publish(frame)
        self._latency.add((*frame.stages.stages, StageLatency("end_to_end", frame.elapsed_ms())))
        self._monitor.frame_processed(time.monotonic_ns(), frame.processing_ms, self._limits())

    def _report_error(self, reason: DropReason, error: AwmlDeployError) -> None:
        message = f"{type(error).__name__}: {error}"
        self._monitor.frame_failed(time.monotonic_ns(), reason, message)
        self.get_logger().error(f"{reason.value}: {message}", throttle_duration_sec=1.0)

    def _age_of(self, frame: ProcessedFrame) -> HeaderAge:
        stamp = frame.header.stamp
        return header_age(
            stamp.sec * 1_000_000_000 + stamp.nanosec,
            self.get_clock().now().nanoseconds,
            simulated=self.get_parameter("use_sim_time").value,
        )

    def _limits(self) -> HealthLimits:
        return HealthLimits(
            self.get_parameter("diagnostics.max_allowed_processing_time_ms").value,
            self.get_parameter("diagnostics.max_acceptable_consecutive_delay_ms").value,
        )

    def _judge(self, now_ns: int) -> tuple[Health, tuple[Any, ...]]:
        name = self.get_fully_qualified_name()
        if self._model is None:
            state = "finalized" if self._finalized else "unconfigured"
            error = "" if self._finalized else self._configure_error
            health = Health(Level.ERROR, error) if error else Health(Level.OK, state)
            health = self._namesakes.judge(health, now_ns)
            return health, (modelless_status(name, state, health),)
        active = self._worker is not None
        health = self._monitor.judge(now_ns, self._limits()) if active else Health(Level.OK, "inactive")
        health = self._namesakes.judge(health, now_ns)
        identity = self._model.identity
        state = "active" if active else "inactive"
        return health, (
            health_status(name, state, health, self._monitor, self._counters.snapshot(), identity, now_ns),
            latency_status(name, health, self._latency.summaries(), identity),
        )

    def _declare_options(self, options: Mapping[str, Any]) -> None:
        specs = model_specs(options)
        self._specs.update({spec.name: spec for spec in specs})
        self._resources.callback(self._undeclare, specs)
        ros_parameters.declare(self, specs)

    def _undeclare(self, specs: Sequence[ParameterSpec]) -> None:
        ros_parameters.undeclare(self, specs)
        for spec in specs:
            del self._specs[spec.name]

    def _values(self) -> dict[str, Any]:
        return ros_parameters.read(self, self._specs.values())

    def _on_set_parameters(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        """Accept a set of parameters as a whole, or none of it."""
        known = {p.name: ros_parameters.plain(p) for p in parameters if p.name in self._specs}
        problems = [
            problem for name, value in known.items() if (problem := check_value(self._specs[name], value))
        ]
        if problems:
            return SetParametersResult(successful=False, reason="; ".join(problems))
        if self._model is not None and any(self._specs[name].option for name in known):
            options = pipeline_options({**self._values(), **known})
            try:
                self._pipeline = with_options(self._model.pipeline, options)
            except AwmlDeployError as error:
                return SetParametersResult(successful=False, reason=str(error))
            self.get_logger().info(f"options changed: {', '.join(known)}")
        return SetParametersResult(successful=True)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    parser = node_parser("centerpoint_node", __doc__)
    return run_node(parser, lambda fatal, _: CenterPointNode(fatal), args)


if __name__ == "__main__":
    sys.exit(main())
