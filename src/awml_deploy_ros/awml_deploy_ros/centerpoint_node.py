"""Lifecycle node ``centerpoint``: clouds in, detections and their record out."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from awml_deploy_core.errors import AwmlDeployError, DeviceLostError, ProcessError
from awml_deploy_core.pipeline import StageLatency
from awml_deploy_ros import logging_bridge
from awml_deploy_ros.cloud_input import field_mapping, frame_of
from awml_deploy_ros.cloud_stream import CloudStream
from awml_deploy_ros.counters import DropReason, FrameCounters
from awml_deploy_ros.densification import Densifier
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
from awml_deploy_ros.node_parameters import NodeParameters
from awml_deploy_ros.outputs import OutputSet
from awml_deploy_ros.outputs.base import OutputContext
from awml_deploy_ros.process import FatalErrors, node_parser, run_node
from awml_deploy_ros.settings import NodeSettings
from awml_deploy_ros.tf.listener import require_messages
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
        self._resources = ExitStack()
        self._model: OpenModel | None = None
        self._stream: CloudStream | None = None
        self._log_handler = logging_bridge.connect(self.get_logger())
        self._node_parameters = NodeParameters(self, self._apply_options)
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
            except DeviceLostError:
                # Another attempt in this process would fail as well.
                raise
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
        settings = NodeSettings.from_values(self._node_parameters.at_start())
        self._decode = partial(
            frame_of,
            mapping=field_mapping(settings.field_mapping),
            check_is_dense=settings.check_is_dense,
        )
        self._densification = settings.densification
        if settings.densification.num_past_frames:
            require_messages()
        start = time.monotonic()
        self.get_logger().info(f"configuring {settings.model_path}")
        model = self._open_model(settings)
        self._resources.callback(model.pipeline.close)
        class_names = warm_up(model.pipeline, settings.warm_up_frames, self._require_not_stopped)
        self._resources.callback(self._node_parameters.remove_model)
        self._node_parameters.add_model(model.pipeline.option_values())
        self._pipeline = with_options(model.pipeline, self._node_parameters.options())
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
        self._stream = CloudStream(
            self, self._densification, self._make_worker, self._on_arrival, self._counters
        )
        self.get_logger().info(f"active on {self._stream.subscription.topic_name}")

    def _unsubscribe(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _make_worker(self, densifier: Densifier) -> InferenceWorker:
        return InferenceWorker(
            lambda: self._pipeline,
            self._decode,
            densifier,
            self._counters,
            self._publish,
            self._report_error,
            self._fatal,
        )

    def _on_arrival(self) -> None:
        self._monitor.cloud_arrived(time.monotonic_ns())

    def _publish(self, frame: ProcessedFrame) -> None:
        frame = self._outputs.publish(frame)
        if frame.degraded:
            self.get_logger().warning(f"without past sweeps: {frame.degraded}", throttle_duration_sec=1.0)
        self._latency.add((*frame.stages.stages, StageLatency("end_to_end", frame.elapsed_ms())))
        self._monitor.frame_processed(
            time.monotonic_ns(), frame.processing_ms, self._limits(), frame.degraded
        )

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
        active = self._stream is not None
        health = self._monitor.judge(now_ns, self._limits()) if active else Health(Level.OK, "inactive")
        health = self._namesakes.judge(health, now_ns)
        identity = self._model.identity
        state = "active" if active else "inactive"
        return health, (
            health_status(name, state, health, self._monitor, self._counters.snapshot(), identity, now_ns),
            latency_status(name, health, self._latency.summaries(), identity),
        )

    def _apply_options(self, options: Mapping[str, Any]) -> None:
        if self._model is not None:
            self._pipeline = with_options(self._model.pipeline, options)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    parser = node_parser("centerpoint_node", __doc__)
    return run_node(parser, lambda fatal, _: CenterPointNode(fatal), args)


if __name__ == "__main__":
    sys.exit(main())
