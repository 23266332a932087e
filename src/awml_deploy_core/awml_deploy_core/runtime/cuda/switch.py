"""A choice that the device makes while a graph runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from awml_deploy_core.runtime.cuda.context import CudaContext
from awml_deploy_core.runtime.cuda.graph import THREAD_LOCAL
from awml_deploy_core.runtime.cuda.kernels import KernelSource
from awml_deploy_core.runtime.cuda.launch import KernelModule
from awml_deploy_core.runtime.cuda.memory import DeviceSpan

SOURCE = KernelSource(Path(__file__).with_name("choose.cu"))
_SET_DEPENDENCIES = 1
"""CU_STREAM_SET_CAPTURE_DEPENDENCIES of cuda.h."""


class DeviceSwitch:
    """Work of several sizes, of which a graph runs the smallest that is large enough.

    A conditional node (CUDA programming guide, "conditional graph nodes") of type switch, which drivers
    have since CUDA 12.8. So the host never has to learn how large a frame was.

    Args:
        context: Where it runs.
        limits: Largest count of each branch, ascending.

    Raises:
        KernelCompileError: NVRTC is too old to know conditional nodes.
    """

    def __init__(self, context: CudaContext, limits: Sequence[int]) -> None:
        self._context = context
        self._kernel = KernelModule(context, SOURCE).kernel("choose_branch")
        self._limits = context.buffer((len(limits),), np.uint32)
        context.upload(self._limits.address, np.array(limits, np.uint32))
        context.synchronize()
        self._stream = context.create_stream()

    @property
    def stream(self) -> int:
        """Handle of the stream on which branches are captured; run them there once before."""
        return self._stream

    def capture(self, stream: int, count: DeviceSpan, branches: Sequence[Callable[[int], None]]) -> None:
        """Put the choice on a stream that is being captured.

        Args:
            stream: It is being captured.
            count: A uint32 on the device.
            branches: One a limit; each is called once with the stream it is captured on. They may
                hold kernels, copies and fills, no events.

        Raises:
            InferenceError: The driver is too old, or a branch cannot be captured.
        """
        driver = self._context.driver
        graph, dependencies = self._captured(stream)
        handle = driver.call("cuGraphConditionalHandleCreate", graph, self._context.handle, 0, 0)
        arguments = (np.uint64(int(handle)), count, self._limits, np.uint32(len(branches)))
        self._kernel.bind(1, 1, arguments).enqueue(stream)
        graph, dependencies = self._captured(stream)
        parameters = driver.api.CUgraphNodeParams()
        parameters.type = driver.api.CUgraphNodeType.CU_GRAPH_NODE_TYPE_CONDITIONAL
        parameters.conditional.handle = handle
        parameters.conditional.type = driver.api.CUgraphConditionalNodeType.CU_GRAPH_COND_TYPE_SWITCH
        parameters.conditional.size = len(branches)
        parameters.conditional.ctx = self._context.handle
        node = driver.call("cuGraphAddNode", graph, dependencies, None, len(dependencies), parameters)
        driver.call("cuStreamUpdateCaptureDependencies", stream, [node], None, 1, _SET_DEPENDENCIES)
        for body, branch in zip(parameters.conditional.phGraph_out, branches, strict=True):
            self._capture_body(body, branch)

    def _capture_body(self, body: Any, branch: Callable[[int], None]) -> None:
        driver = self._context.driver
        mode = getattr(driver.api.CUstreamCaptureMode, THREAD_LOCAL)
        driver.call("cuStreamBeginCaptureToGraph", self._stream, body, None, None, 0, mode)
        try:
            branch(self._stream)
        finally:
            code, *_ = driver.api.cuStreamEndCapture(self._stream)
        if int(code):
            raise driver.failure(code, "cuStreamEndCapture", "a branch")

    def _captured(self, stream: int) -> tuple[Any, list[Any]]:
        """The graph that a stream is being captured in, and what its next node depends on."""
        _, _, graph, dependencies, *_ = self._context.driver.call("cuStreamGetCaptureInfo", stream)
        return graph, list(dependencies or ())
