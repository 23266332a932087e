"""The reference process: opens a bundle, takes live frames, compares its own result with the live one.

It ends when the node does, even if that was killed: then the pipe of the requests ends. Comparing here
as well keeps all of that work out of the node's process.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.pipeline import Candidates, InferencePipeline, OffersCandidates, TensorTap
from awml_deploy_core.verification.boxes import DetectionsComparator
from awml_deploy_core.verification.tolerances import DEFAULTS, Tolerances, coarsest
from awml_deploy_ros.node.background import step_back
from awml_deploy_ros.shadow.arena import Arena
from awml_deploy_ros.shadow.exchange import Codec, codec_of


class Reference:
    """Compares one frame after the other.

    Args:
        pipeline: Of the reference backend.
        codec: Of its task.
        max_unmatched: Boxes that may lack a partner.
    """

    def __init__(self, pipeline: InferencePipeline[Any, Any], codec: Codec, max_unmatched: int) -> None:
        self._pipeline = pipeline
        self._current = pipeline
        self._options: dict[str, Any] = {}
        self._codec = codec
        self._max_unmatched = max_unmatched

    def compare(self, request: Mapping[str, Any], arena: Arena) -> dict[str, Any]:
        """Run a frame and compare, JSON-ready.

        Raises:
            AwmlDeployError: The reference refuses the frame or fails.
        """
        # The run-time options of the live pipeline change between frames.
        if request["options"] != self._options:
            self._options = request["options"]
            self._current = self._pipeline.with_options(self._options)
        sample, live = self._codec.decode(request["input"], arena)
        start, cpu = time.perf_counter(), time.process_time()
        result, tap = self._current.trace(sample)
        reference_ms = (time.perf_counter() - start) * 1e3
        precision = coarsest(
            (*request["precisions"], *(getattr(s, "precision", None) for s in self._pipeline.sessions))
        )
        tolerances = DEFAULTS[precision]
        limits = replace(tolerances.boxes, max_unmatched=self._max_unmatched)
        found = DetectionsComparator(limits).compare(
            result.output, live, lambda: self._candidates(tap, tolerances)
        )
        on_cpu = all(session.device.kind == "cpu" for session in self._pipeline.sessions)
        return {
            "agrees": bool(found),
            "message": found.message(),
            "details": found.details,
            "boxes": result.output.to_records(),
            "reference_ms": reference_ms,
            "busy_s": time.process_time() - cpu if on_cpu else time.perf_counter() - start,
        }

    def _candidates(self, tap: TensorTap, tolerances: Tolerances) -> tuple[Candidates, Candidates] | None:
        """What the reference decoded before suppression, for both sides.

        The live backend's tensors stay where they are. Rounding may move them by what their tolerance
        allows, which is the margin here.
        """
        pipeline = self._current
        if not isinstance(pipeline, OffersCandidates):
            return None
        margins = {
            component: {name: _margin(tolerances, name, values) for name, values in outputs.items()}
            for component, outputs in tap.outputs.items()
        }
        candidates = pipeline.candidates(tap.outputs, margins)
        return candidates, candidates


def _margin(tolerances: Tolerances, name: str, values: Any) -> float:
    tolerance = tolerances.of(name)
    limits = [] if tolerance.max_abs is None else [tolerance.max_abs]
    if tolerance.relative is not None:
        limits.append(tolerance.relative * float(np.abs(values[np.isfinite(values)]).max(initial=0.0)))
    return min(limits, default=0.0)


def _open(options: argparse.Namespace) -> Reference:
    from awml_deploy_core.artifacts.bundle import ModelBundle
    from awml_deploy_core.runner import open_pipeline

    # The node has compared the files with the manifest already.
    bundle = ModelBundle.open(options.bundle, verify=False)
    codec = codec_of(bundle.family.task)
    pipeline = open_pipeline(
        bundle,
        options.backend,
        options.device,
        num_threads=options.num_threads,
        checkpoint=options.checkpoint or None,
    )
    pipeline.warm_up()
    return Reference(pipeline, codec, options.max_unmatched)


def _serve(reference: Reference, requests: IO[bytes], results: IO[str], arena: Arena) -> None:
    for line in requests:
        request = json.loads(line)
        try:
            answer = reference.compare(request, arena)
        except AwmlDeployError as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        _send(results, {"id": request["id"], **answer})


def _send(results: IO[str], message: Mapping[str, Any]) -> None:
    results.write(json.dumps(message) + "\n")
    results.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shadow_reference", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--backend", required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--checkpoint", default="")
    parser.add_argument("--num-threads", type=int, default=1)
    parser.add_argument("--max-unmatched", type=int, default=0)
    parser.add_argument("--arena", type=int, required=True, help="inherited descriptor")
    parser.add_argument("--results", type=int, required=True, help="inherited descriptor")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve requests from standard input until it ends."""
    options = _parser().parse_args(arguments)
    step_back()
    arena = Arena(options.arena)
    with os.fdopen(options.results, "w", encoding="utf-8") as results:
        try:
            reference = _open(options)
        except AwmlDeployError as error:
            _send(results, {"fatal": f"{type(error).__name__}: {error}"})
            return ExitCode.BAD_INPUT
        try:
            _send(results, {"ready": True})
            _serve(reference, sys.stdin.buffer, results, arena)
        except BrokenPipeError:
            # The node was killed while it waited for a result.
            return ExitCode.PASSED
    return ExitCode.PASSED


if __name__ == "__main__":
    sys.exit(main())
