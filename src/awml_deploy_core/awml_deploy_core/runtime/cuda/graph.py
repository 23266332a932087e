"""Work that is captured once and then started by one call."""

from __future__ import annotations

from collections.abc import Callable

from awml_deploy_core.runtime.cuda.context import CudaContext

THREAD_LOCAL = "CU_STREAM_CAPTURE_MODE_THREAD_LOCAL"
"""What other threads do with the device, e.g. allocate, does not break the capture."""


class CudaGraph:
    """An executable graph: every launch repeats what was captured, on the same addresses."""

    def __init__(self, context: CudaContext, handle: int) -> None:
        self._context = context
        self._handle = handle

    def launch(self, stream: int) -> None:
        """Start it in the order of a stream; the host does not wait.

        Raises:
            InferenceError, DeviceLostError: The driver refuses.
        """
        self._context.driver.call("cuGraphLaunch", self._handle, stream)

    def close(self) -> None:
        """Release it, before its context. Calling it twice is allowed."""
        if self._handle:
            self._context.driver.api.cuGraphExecDestroy(self._handle)
        self._handle = 0


def capture(context: CudaContext, stream: int, enqueue: Callable[[int], None]) -> CudaGraph:
    """Capture what ``enqueue`` puts on a stream, without running it.

    Args:
        context: Where the graph belongs.
        stream: Handle of a stream on which nothing is being captured.
        enqueue: Is called once with the stream. It must not wait for the device nor allocate.

    Raises:
        InferenceError: Something cannot be captured, or the graph cannot be instantiated.
        AwmlDeployError: As ``enqueue``.
    """
    driver = context.driver
    mode = getattr(driver.api.CUstreamCaptureMode, THREAD_LOCAL)
    driver.call("cuStreamBeginCapture", stream, mode)
    try:
        enqueue(stream)
    except BaseException:
        # Only to leave the stream usable: what is wrong says the error on its way.
        _, broken = driver.api.cuStreamEndCapture(stream)
        if broken is not None and int(broken):
            driver.api.cuGraphDestroy(broken)
        raise
    graph = driver.call("cuStreamEndCapture", stream)
    try:
        handle = int(driver.call("cuGraphInstantiate", graph, 0))
    finally:
        driver.api.cuGraphDestroy(graph)
    made = CudaGraph(context, handle)
    # Otherwise the first launch would upload it.
    driver.call("cuGraphUpload", handle, stream)
    return made
