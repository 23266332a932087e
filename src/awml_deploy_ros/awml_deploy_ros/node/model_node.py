"""The lifecycle node that runs a model, whatever it detects in.

It loads and warms up on configure, subscribes on activate, frees on cleanup. A node of one kind of model
says what its parameters, outputs and inputs are; latency, counters, budget, diagnostics, provenance,
services, shadow verification and snippets are the same for all.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Generic, TypeVar

from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from awml_deploy_core.errors import AwmlDeployError, DeviceLostError, ProcessError
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_ros import logging_bridge
from awml_deploy_ros.budget import read_budget
from awml_deploy_ros.counters import DropReason
from awml_deploy_ros.diagnostics import DiagnosticsPublisher, StatusReport, model_reports, modelless_report
from awml_deploy_ros.frame import ProcessedFrame
from awml_deploy_ros.health import Health, HealthLimits, Level
from awml_deploy_ros.model import OpenModel, warm_up, with_options
from awml_deploy_ros.namesakes import Namesakes
from awml_deploy_ros.node.companions import Companions
from awml_deploy_ros.node.contracts import CommonSettings, InputStream
from awml_deploy_ros.node.ledger import FrameLedger
from awml_deploy_ros.node.package_files import resolve
from awml_deploy_ros.node.parameter_service import CheckedParameterService
from awml_deploy_ros.node.provenance import Provenance, ProvenancePublisher
from awml_deploy_ros.node.services import NodeFacts, SlowServices
from awml_deploy_ros.node_parameters import NodeParameters
from awml_deploy_ros.outputs import OutputSet
from awml_deploy_ros.parameter_spec import ParameterTable
from awml_deploy_ros.process import FatalErrors

SettingsT = TypeVar("SettingsT", bound=CommonSettings)


class ModelNode(LifecycleNode, Generic[SettingsT]):  # type: ignore[misc]
    """Base of the nodes; a subclass implements the four methods that raise NotImplementedError.

    Transitions, parameters and inputs share the executor's thread. Inference, diagnostics, shadow
    verification and snippets have threads of their own, and :func:`run_model_node` gives the slow services
    one: each answers whatever the others do.

    Args:
        name: Of the node.
        fatal: Where unexpected exceptions go.
        table: Its parameters.
        node_options: Passed to rclpy's LifecycleNode.
    """

    def __init__(self, name: str, fatal: FatalErrors, table: ParameterTable, **node_options: Any) -> None:
        super().__init__(name, start_parameter_services=False, **node_options)
        self.fatal = fatal
        self._resources = ExitStack()
        self._model: OpenModel | None = None
        self._stream: InputStream | None = None
        self._configure_error = ""
        self._finalized = False
        self._log_handler = logging_bridge.connect(self.get_logger())
        self._node_parameters = NodeParameters(self, table, self._apply_options)
        self._parameter_services = CheckedParameterService(self)
        self._namesakes = Namesakes(self)
        self._slow_services = SlowServices(self, self._facts, fatal)
        self._provenance_publisher = ProvenancePublisher(self)
        interval_ms = self.get_parameter("diagnostics.validation_callback_interval_ms").value
        self._diagnostics = DiagnosticsPublisher(self, interval_ms * 1e-3, self._judge, fatal)

    def settings_of(self, values: Mapping[str, Any]) -> SettingsT:
        """Settings from the values of the parameters that are declared at start.

        Raises:
            AwmlDeployError: Any value is invalid, or what it asks for is not installed.
        """
        raise NotImplementedError

    def open_model(self, settings: SettingsT) -> OpenModel:
        """Open the model.

        Raises:
            AwmlDeployError: It cannot be opened here.
        """
        raise NotImplementedError

    def make_outputs(self, settings: SettingsT, model: OpenModel) -> OutputSet:
        """Make the publishers of the results.

        Raises:
            AwmlDeployError: One is not available.
        """
        raise NotImplementedError

    def open_stream(self, settings: SettingsT) -> InputStream:
        """Subscribe; frames go to :meth:`finish`, failures to :meth:`report_error`."""
        raise NotImplementedError

    @property
    def pipeline(self) -> InferencePipeline[Any, Any]:
        """The pipeline of the next frame, with the options now in force; only while configured."""
        return self._pipeline

    @property
    def slow_group(self) -> CallbackGroup:
        """The callback group whose callbacks may take minutes."""
        return self._slow_services.group

    def start(self) -> None:
        """Configure and activate where the parameter ``autostart`` says so."""
        if not self.get_parameter("autostart").value:
            return
        configured = self.trigger_configure() == TransitionCallbackReturn.SUCCESS
        if configured and not self.fatal.stop.is_set():
            self.trigger_activate()

    def stop_waiting(self) -> None:
        """End what could keep the slow services busy for long."""
        self._slow_services.stop()

    def close(self) -> None:
        """Stop and free everything, in whatever state the node is."""
        # All of it, whatever one step raises: a thread that is left keeps the process from ending.
        parts = (self._provenance_publisher.close, self._slow_services.close, self._release)
        with ExitStack() as last_first:
            last_first.callback(logging_bridge.disconnect, self._log_handler)
            for step in (*parts, self._unsubscribe, self._diagnostics.close, self._slow_services.stop):
                last_first.callback(step)

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

    def finish(self, frame: ProcessedFrame) -> None:
        """Publish a frame, note it, and let the companions look at it; for the worker's thread."""
        frame = self._outputs.publish(frame)
        if frame.degraded:
            self.get_logger().warning(f"without past sweeps: {frame.degraded}", throttle_duration_sec=1.0)
        self.ledger.processed(frame)
        self.companions.frame(frame)

    def report_error(self, reason: DropReason, error: AwmlDeployError) -> None:
        """Note an input that gave nothing; for the worker's thread."""
        self.ledger.failed(reason, error)
        self.get_logger().error(
            f"{reason.value}: {type(error).__name__}: {error}", throttle_duration_sec=1.0
        )

    def _transition(self, work: Callable[[], bool | None]) -> TransitionCallbackReturn:
        """Do the work of a transition; False says that it is refused."""
        with self.fatal:
            return TransitionCallbackReturn.FAILURE if work() is False else TransitionCallbackReturn.SUCCESS
        return TransitionCallbackReturn.ERROR

    def _configure_or_say_why(self) -> bool:
        try:
            self._configure()
        except DeviceLostError:  # Another attempt in this process would fail as well.
            raise
        except AwmlDeployError as error:
            self._release()
            self._configure_error = f"{type(error).__name__}: {error}"
            self.get_logger().error(self._configure_error)
            return False
        return True

    def _subscribe(self) -> None:
        self.ledger.activated()
        self._stream = self.open_stream(self._settings)
        self.get_logger().info(f"active on {self._stream.topic_name}")

    def _finalize(self) -> None:
        self._unsubscribe()
        self._release()
        self._finalized = True

    def _configure(self) -> None:
        self._configure_error = ""
        settings = self._settings = self.settings_of(self._node_parameters.at_start())
        budget_file = settings.latency_budget_file
        budget = read_budget(resolve(budget_file)) if budget_file else None
        start = time.monotonic()
        self.get_logger().info(f"configuring {settings.model_path}")
        model = self.open_model(settings)
        self._resources.callback(model.pipeline.close)
        class_names = warm_up(model.pipeline, settings.warm_up_frames, self._require_not_stopped)
        self._resources.callback(self._node_parameters.remove_model)
        self._node_parameters.add_model(model.pipeline.option_values())
        self._pipeline = with_options(model.pipeline, self._node_parameters.options())
        self.ledger = FrameLedger(
            settings.latency_window,
            budget,
            lambda: int(self.get_clock().now().nanoseconds),
            lambda: bool(self.get_parameter("use_sim_time").value),
            self._limits,
        )
        self.provenance = Provenance.of(model)
        self.companions = Companions(
            self,
            model,
            settings.checkpoint_path,
            settings.shadow,
            settings.snippets,
            lambda: self._pipeline.option_values(),
            self._reproduction,
            self.fatal,
        )
        self._resources.callback(self.companions.close)
        self._outputs = self.make_outputs(settings, model)
        self._resources.callback(self._outputs.close)
        self._model = model
        self._spare_collections()
        self._publish_provenance()
        identity = model.identity
        self.get_logger().info(
            f"configured {identity.model_name} ({', '.join(class_names)}) on {identity.backend} "
            f"{identity.device} in {time.monotonic() - start:.1f} s; bundle {identity.bundle_hash[:12]}"
        )

    def _require_not_stopped(self) -> None:
        # Whoever ends the process kills it some seconds later, which is less than a configure may take.
        if self.fatal.stop.is_set():
            raise ProcessError(self.get_name(), "was told to end while it was being configured")

    def _spare_collections(self) -> None:
        """Keep the collector from what lives as long as the model: a full search takes 100 ms."""
        gc.collect()
        gc.freeze()
        self._resources.callback(gc.unfreeze)

    def _release(self) -> None:
        self._model = None
        self._resources.close()

    def _unsubscribe(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
            self.get_logger().info(f"not active any more: {self.ledger.counters.snapshot()}")

    def _reproduction(self) -> dict[str, str]:
        return self.provenance.files(self._node_parameters.as_yaml())

    def _publish_provenance(self) -> None:
        self._provenance_publisher.publish(self.provenance, self._node_parameters.as_yaml())

    def _limits(self) -> HealthLimits:
        return HealthLimits(
            self.get_parameter("diagnostics.max_allowed_processing_time_ms").value,
            self.get_parameter("diagnostics.max_acceptable_consecutive_delay_ms").value,
        )

    def _judge(self, now_ns: int) -> list[StatusReport]:
        # Read once: a transition in another thread may take it away.
        model = self._model
        if model is None:
            state = "finalized" if self._finalized else "unconfigured"
            error = "" if self._finalized else self._configure_error
            health = Health(Level.ERROR, error) if error else Health(Level.OK, state)
            return [modelless_report(state, self._namesakes.judge(health, now_ns))]
        if self._node_parameters.take_changed():
            self._publish_provenance()
        active = self._stream is not None
        health = self.ledger.judge(now_ns) if active else Health(Level.OK, "inactive")
        health = self._namesakes.judge(health, now_ns)
        reports = model_reports(health, self.ledger, model.identity, now_ns, active=active)
        return [*reports, *self.companions.reports()]

    def _facts(self) -> NodeFacts | None:
        model = self._model
        if model is None:
            return None
        latencies, reports = self.ledger.latency.summaries(), self._judge(time.monotonic_ns())
        return NodeFacts(model, self._settings.evidence_folder, self._reproduction(), latencies, reports)

    def _apply_options(self, options: Mapping[str, Any]) -> None:
        if self._model is not None:
            self._pipeline = with_options(self._model.pipeline, options)
            self.companions.options_changed()
