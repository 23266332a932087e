"""The voxel encoder on as many rows as a frame has pillars, which only the device knows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from awml_deploy_core.components import ComponentSpec, DynamicAxis
from awml_deploy_core.runtime.cuda import CudaContext, DeviceBuffer, DeviceSpan
from awml_deploy_core.runtime.cuda.bridge import HostBridge
from awml_deploy_core.runtime.cuda.program import Step
from awml_deploy_core.runtime.cuda.session import DeviceSession, largest_shape
from awml_deploy_core.runtime.cuda.switch import DeviceSwitch
from awml_extractors.centerpoint.device.settings import EncoderRows

_SIXTEENTHS = (1, 2, 4, 6, 8, 10, 12, 14, 16)
"""Sizes of the encoder, as parts of the largest."""


class DeviceEncoder:
    """Runs a session on the first rows of a buffer.

    Args:
        context: Where it runs.
        session: The encoder.
        features: Its input ``[rows, max_points, C]``.
        pillars: uint32 [1] on the device: rows that matter.
        read_pillars: The same on the host, once the stream has been waited for.
        rows: How the number of rows is found; not ``auto``.
    """

    def __init__(
        self,
        context: CudaContext,
        session: DeviceSession,
        features: DeviceBuffer,
        pillars: DeviceSpan,
        read_pillars: Callable[[], int],
        rows: EncoderRows,
    ) -> None:
        self._context = context
        self._session = session
        self._pillars = pillars
        self._read_pillars = read_pillars
        (self._input,), (output,) = session.spec.inputs, session.spec.outputs
        self.output = context.buffer(largest_shape(output), output.dtype, fill=0)
        """``[rows, 1, F]``."""
        session.bind({self._input.name: features, output.name: self.output})
        axis = self._input.shape[0]
        self._least, self._most = (
            (axis.min, axis.max) if isinstance(axis, DynamicAxis) else (int(axis), int(axis))
        )
        self._sizes = row_sizes(self._least, self._most)
        # A session of the host takes any number at no cost, and then gives what it gives there.
        self._exact = isinstance(session, HostBridge)
        self.rows = rows
        self._switch = DeviceSwitch(context, self._sizes) if rows == "device" else None

    @property
    def spec(self) -> ComponentSpec:
        return self._session.spec

    def step(self) -> Step:
        """The encoder as a step of the stage ``encode``."""
        if self.rows == "host":
            return Step("encode", self._after_reading, capturable=False)
        if self.rows == "full" or self._switch is None:
            return Step("encode", partial(self._run, self._most), capturable=True)
        branches = [partial(self._run, size) for size in self._sizes]
        return Step(
            "encode",
            partial(self._switch.capture, count=self._pillars, branches=branches),
            eager=partial(self._every_size, self._switch.stream),
        )

    def _run(self, rows: int, stream: int) -> None:
        self._session.set_shapes({self._input.name: (rows, *largest_shape(self._input)[1:])})
        self._session.enqueue(stream)

    def _after_reading(self, stream: int) -> None:
        self._context.synchronize(stream)
        pillars = self._read_pillars()
        if pillars:
            least = max(pillars, self._least)
            rows = least if self._exact else next(size for size in self._sizes if size >= least)
            self._run(rows, stream)

    def _every_size(self, branch_stream: int, stream: int) -> None:
        """Each size once where it will be captured, so that nothing is chosen or allocated then."""
        self._context.synchronize(stream)
        for size in self._sizes:
            self._run(size, branch_stream)
        self._context.synchronize(branch_stream)


def choose_rows(wanted: EncoderRows, session: DeviceSession, *, graphs: bool) -> EncoderRows:
    """How the rows of an encoder are found.

    Args:
        wanted: What was asked for.
        session: The encoder.
        graphs: Whether the frame is captured.
    """
    if not session.capturable or not graphs:
        return "host"
    if wanted == "auto":
        return "device" if session.captures_shapes else "full"
    return wanted


def row_sizes(least: int, most: int) -> tuple[int, ...]:
    """Sizes between two, ascending, of which the last is ``most``."""
    sizes = {max(least, -(-most * part // _SIXTEENTHS[-1])) for part in _SIXTEENTHS}
    return tuple(int(size) for size in np.sort(list(sizes)))
