"""What runs beside a configured node: shadow verification and snippets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from awml_deploy_msgs import msg as messages
from rclpy.node import Node

from awml_deploy_ros.diagnostics import StatusReport
from awml_deploy_ros.frame import ProcessedFrame
from awml_deploy_ros.model import OpenModel
from awml_deploy_ros.outputs.base import create_publisher, every_frame
from awml_deploy_ros.process import FatalErrors
from awml_deploy_ros.shadow.exchange import codec_of
from awml_deploy_ros.shadow.process import ReferenceProcess
from awml_deploy_ros.shadow.settings import ShadowSettings
from awml_deploy_ros.shadow.verifier import Comparison, ShadowVerifier
from awml_deploy_ros.snippets.recorder import SnippetRecorder
from awml_deploy_ros.snippets.settings import SnippetSettings
from awml_deploy_ros.topics import SHADOW, TF, TF_STATIC

DISAGREEMENT, OVER_BUDGET = "disagreement", "over_budget"


class Companions:
    """Gets every frame after it is published and every message that a snippet may need.

    Args:
        node: Publishes the results.
        model: The live model.
        checkpoint: Trained weights, for a reference that needs them.
        shadow: Settings; off with ``every_n`` 0.
        snippets: Settings; off without a folder.
        options: Gives the live pipeline's run-time options.
        files: Gives the text files that reproduce a frame offline, by name.
        fatal: Where unexpected exceptions go.

    Raises:
        AwmlDeployError: Either cannot start here.
    """

    def __init__(
        self,
        node: Node,
        model: OpenModel,
        checkpoint: str,
        shadow: ShadowSettings,
        snippets: SnippetSettings,
        options: Callable[[], Mapping[str, Any]],
        files: Callable[[], Mapping[str, str]],
        fatal: FatalErrors,
    ) -> None:
        self._settings = shadow
        self._options_ns = 0
        self._resources = ExitStack()
        self._snippets: SnippetRecorder | None = None
        self._shadow: ShadowVerifier | None = None
        if snippets.folder is not None:
            self._snippets = SnippetRecorder(snippets, files, fatal)
            self._resources.callback(self._snippets.close)
        if not shadow.every_n:
            return
        try:
            codec = codec_of(model.task)
        except BaseException:
            self._resources.close()
            raise
        self._publisher = create_publisher(node, messages.ShadowResult, SHADOW.name, every_frame())
        self._resources.callback(node.destroy_publisher, self._publisher)
        arguments = [
            model.bundle_path,
            *("--backend", shadow.backend, "--device", shadow.device),
            *("--checkpoint", checkpoint, "--num-threads", str(shadow.num_threads)),
            *("--max-unmatched", str(shadow.max_unmatched)),
        ]
        precisions = {getattr(session, "precision", None) or "fp32" for session in model.pipeline.sessions}
        self._shadow = ShadowVerifier(
            shadow,
            codec,
            lambda: ReferenceProcess(arguments, shadow.num_threads),
            options,
            tuple(sorted(precisions)),
            self._on_result,
            fatal,
        )
        self._resources.callback(self._shadow.close)

    @property
    def shadow(self) -> ShadowVerifier | None:
        return self._shadow

    @property
    def snippets(self) -> SnippetRecorder | None:
        return self._snippets

    def hold(self, topic: str, kind: str, message: Any, *, latched: bool = False) -> None:
        """Keep a message for the snippets."""
        if self._snippets is not None:
            self._snippets.hold(topic, kind, message, latched=latched)

    def hold_transforms(self, static: bool, message: Any) -> None:
        """Keep a message of /tf or /tf_static for the snippets."""
        topic = TF_STATIC if static else TF
        self.hold(topic.name, topic.type, message, latched=static)

    def frame(self, frame: ProcessedFrame) -> None:
        """Look at a live frame that is published; returns at once."""
        # One that was in work while the options changed may have had either.
        if self._shadow is not None and frame.arrival_ns > self._options_ns:
            self._shadow.offer(frame)
        if self._snippets is not None and frame.timing is not None and frame.timing.over_budget:
            details = {"over_budget": frame.timing.over_budget, "stages": frame.stages.as_dict()}
            self._want(OVER_BUDGET, frame, details)

    def options_changed(self) -> None:
        """Note that the live pipeline's options are others from now on."""
        self._options_ns = time.monotonic_ns()

    def reports(self) -> list[StatusReport]:
        """For diagnostics."""
        reports = []
        if self._shadow is not None:
            reports.append(StatusReport("shadow", self._shadow.health(), self._shadow.state.values()))
        if self._snippets is not None:
            reports.append(StatusReport("snippets", self._snippets.health(), self._snippets.values()))
        return reports

    def close(self) -> None:
        """End threads and processes, the shadow first: it may still ask for a snippet."""
        self._resources.close()

    def _on_result(self, comparison: Comparison) -> None:
        self._publisher.publish(to_message(comparison, self._settings))
        if not comparison.agrees:
            details = {
                "message": comparison.message,
                "comparison": dict(comparison.details),
                "live_boxes": comparison.frame.output.to_records(),
                "reference_boxes": comparison.reference_boxes,
            }
            self._want(DISAGREEMENT, comparison.frame, details)

    def _want(self, reason: str, frame: ProcessedFrame, details: Mapping[str, Any]) -> None:
        if self._snippets is not None:
            stamp = frame.header.stamp
            stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
            self._snippets.want(reason, frame.arrival_ns, stamp_ns, details)


def to_message(comparison: Comparison, settings: ShadowSettings) -> Any:
    """awml_deploy_msgs/ShadowResult of a comparison."""
    details = comparison.details
    worst: Mapping[str, float] = details.get("worst", {})
    return messages.ShadowResult(
        header=comparison.frame.header,
        agrees=comparison.agrees,
        message=comparison.message,
        matched=int(details.get("matched", 0)),
        only_live=len(details.get("only_in_test", ())),
        only_reference=len(details.get("only_in_reference", ())),
        borderline=len(details.get("borderline", ())),
        **{
            f"max_{name}": float(worst.get(name, 0.0))
            for name in ("position", "size", "yaw", "velocity", "score")
        },
        reference_backend=settings.backend,
        reference_device=settings.device,
        reference_ms=comparison.reference_ms,
        counters=messages.ShadowCounters(**vars(comparison.counters)),
    )
