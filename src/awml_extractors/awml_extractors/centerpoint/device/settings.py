"""What the frame on the GPU is built for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EncoderRows = Literal["auto", "device", "host", "full"]


@dataclass(frozen=True)
class DeviceSettings:
    """Capacities and choices of a frame on the GPU, all of them fixed when it is built.

    The number of pillars is known on the device only, but a session has to be enqueued with a number of
    rows. ``encoder_rows`` says how it is found:

    - ``device``: the graph holds the encoder in several sizes and a conditional node picks the
      smallest that is large enough. No wait, and little work for small frames; needs a session
      that can be captured, NVRTC 12.4 and a driver of CUDA 12.8.
    - ``host``: the host waits for the number, which it reads from pinned memory. For sessions that
      cannot be captured, because they need the host between two graphs anyway.
    - ``full``: always the largest size, so that the graph is the simplest there is.
    - ``auto``: ``device``, or ``full`` where the driver does not have it and for TensorRT, whose graphs
      are of one shape each, or ``host`` for sessions that cannot be captured.

    Rows beyond the pillars hold zeros or pillars of earlier frames, whose features are never scattered.
    """

    max_points: int = 2_000_000
    """Most points of a frame, past sweeps included."""
    max_sweeps: int = 16
    max_boxes: int = 8192
    """Boxes before suppression that the GPU has room for; a frame with more is decoded on the host."""
    encoder_rows: EncoderRows = "auto"
    graphs: bool = True
    """Whether the work is captured in graphs; without, every kernel is launched by the host."""
    timed: bool = True
    """Whether events mark the ends of the stages."""
