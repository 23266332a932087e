"""The lifecycle node that runs a model, whatever it detects in.

It loads and warms up on configure, subscribes on activate, frees on cleanup. A node of one kind of model
says what its parameters, outputs and inputs are; latency, counters, budget, diagnostics, provenance,
services, shadow verification and snippets are the same for all.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, ClassVar, Generic, TypeVar

from rclpy.callback_groups import CallbackGroup

from awml_deploy_core.errors import AwmlDeployError, DeviceLostError, ProcessError
from awml_deploy_core.pipeline import InferencePipeline
from awml_deploy_ros import logging_bridge
from awml_deploy_ros.budget import read_budget
from awml_deploy_ros.counters import DropReason, InputKind
from awml_deploy_ros.diagnostics import DiagnosticsPublisher, StatusReport, model_reports, modelless_report
from awml_deploy_ros.frame import ProcessedFrame
from awml_deploy_ros.health import Health, HealthLimits, Level
from awml_deploy_ros.model import ModelOpener, OpenModel, open_bundle, warm_up, with_options
from awml_deploy_ros.namesakes import Namesakes
from awml_deploy_ros.node.companions import Companions
from awml_deploy_ros.node.contracts import InputStream
from awml_deploy_ros.node.ledger import FrameLedger
from awml_deploy_ros.node.lifecycle import GuardedLifecycleNode, spare_collections
from awml_deploy_ros.node.model_settings import ModelSettings
from awml_deploy_ros.node.package_files import resolve
from awml_deploy_ros.node.parameter_service import CheckedParameterService
from awml_deploy_ros.node.provenance import Provenance, ProvenancePublisher
from awml_deploy_ros.node.services import NodeFacts, SlowServices
from awml_deploy_ros.node_parameters import NodeParameters, parameter_file
from awml_deploy_ros.outputs import OutputSet
from awml_deploy_ros.outputs.base import OutputContext
from awml_deploy_ros.parameter_spec import ParameterTable
from awml_deploy_ros.process import FatalErrors
from awml_deploy_ros.topics import TopicSpec
from awml_deploy_ros.worker import InferenceWorker, Preparation

SettingsT = TypeVar("SettingsT", bound=ModelSettings)


class ModelNode(GuardedLifecycleNode, Generic[SettingsT]):
    """Base of the nodes; a subclass says its kind and implements what raises NotImplementedError.

    Transitions, parameters and inputs share the executor's thread. Inference, diagnostics, shadow
    verification and snippets have threads of their own, and :func:`run_model_node` gives the slow services
    one: each answers whatever the others do.

    Args:
        name: Of the node.
        fatal: Where unexpected exceptions go.
        table: Its parameters.
        open_model: Opens the model that the parameters name.
        node_options: Passed to rclpy's LifecycleNode.
    """

    task: ClassVar[str]
    """What its models do, by the name that their family gives."""
    inputs: ClassVar[InputKind]
    """What it counts."""

    def __init__(
        self,
        name: str,
        fatal: FatalErrors,
        table: ParameterTable,
        *,
        open_model: ModelOpener = open_bundle,
        **node_options: Any,
    ) -> None:
        self._opener = open_model
        super().__init__(name, fatal, start_parameter_services=False, **node_options)
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

    def check_model(self, settings: SettingsT, model: OpenModel) -> None:
        """Refuse a model that this node cannot run, by raising an AwmlDeployError."""
        model.require_task(self.task, settings.model_path)

    def output_context(self, settings: SettingsT, model: OpenModel) -> OutputContext:
        """What the publishers of the results need."""
        return OutputContext(
            self,
            model.identity,
            self.ledger.counters,
            self.ledger.age_of,
            self.ledger.timed,
            self.companions.hold,
            model.task,
        )

    def own_reports(self, now_ns: int, *, active: bool) -> list[StatusReport]:
        """What the node tells in diagnostics beside what every node does (monotonic [ns])."""
        return []

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

    def make_worker(self, preparation: Preparation[Any]) -> InferenceWorker[Any]:
        """A worker that runs the pipeline of this node on what it is given."""
        return InferenceWorker(
            lambda: self.pipeline,
            preparation,
            self.ledger.counters,
            self.finish,
            self.report_error,
            self.fatal,
        )

    def arrived(self, name: str, topic: TopicSpec, message: Any) -> None:
        """Note an input that is counted; ``name`` is its topic's full name."""
        self.ledger.arrived()
        self.companions.hold(name, topic.type, message)

    def finish(self, frame: ProcessedFrame) -> None:
        """Publish a frame, note it, and let the companions look at it; for the worker's thread."""
        frame = self._outputs.publish(frame)
        if frame.degraded:
            self.get_logger().warning(f"without past sweeps: {frame.degraded}", throttle_duration_sec=1.0)
        self.ledger.processed(frame)
        self.companions.frame(frame)

    def report_error(self, reason: DropReason, error: AwmlDeployError) -> None:
        """Note an input that gave nothing; for any thread."""
        self.ledger.failed(reason, error)
        self.get_logger().error(
            f"{reason.value}: {type(error).__name__}: {error}", throttle_duration_sec=1.0
        )

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
        model = self._opener(settings)
        self._resources.callback(model.pipeline.close)
        self.check_model(settings, model)
        warm_up(model.pipeline, settings.warm_up_frames, self._require_not_stopped)
        self._resources.callback(self._node_parameters.remove_model)
        self._node_parameters.add_model(model.pipeline.option_values())
        self._pipeline = with_options(model.pipeline, self._node_parameters.options())
        self.ledger = FrameLedger(
            settings.latency_window,
            budget,
            lambda: int(self.get_clock().now().nanoseconds),
            lambda: bool(self.get_parameter("use_sim_time").value),
            self._limits,
            self.inputs,
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
        self._outputs = OutputSet(settings.outputs, self.output_context(settings, model))
        self._resources.callback(self._outputs.close)
        self._provenance_publisher.publish(self.provenance, self._node_parameters.values())
        self._model = model
        spare_collections(self._resources)
        identity = model.identity
        self.get_logger().info(
            f"configured {identity.model_name} ({', '.join(model.class_names)}) on {identity.backend} "
            f"{identity.device} in {time.monotonic() - start:.1f} s; bundle {identity.bundle_hash[:12]}"
        )

    def _require_not_stopped(self) -> None:
        # Whoever ends the process kills it some seconds later, which is less than a configure may take.
        if self.fatal.stop.is_set():
            raise ProcessError(self.get_name(), "was told to end while it was being configured")

    def _release(self) -> None:
        self._model = None
        self._resources.close()

    def _unsubscribe(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
            self.get_logger().info(f"not active any more: {self.ledger.counters.snapshot()}")

    def _reproduction(self) -> dict[str, str]:
        return self.provenance.files(parameter_file(self._node_parameters.values()))

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
        # Not by a callback: until it has returned, the parameters are the old ones.
        self._provenance_publisher.publish_changes(self.provenance, self._node_parameters.values())
        active = self._stream is not None
        health = self.ledger.judge(now_ns) if active else Health(Level.OK, "inactive")
        health = self._namesakes.judge(health, now_ns)
        listeners = self._outputs.listeners
        reports = model_reports(
            health, self.ledger, model.identity, now_ns, active=active, listeners=listeners
        )
        return [*reports, *self.own_reports(now_ns, active=active), *self.companions.reports()]

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
