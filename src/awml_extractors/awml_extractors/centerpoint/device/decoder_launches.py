"""Kernels of decoding and suppression: their sources, memory and launches."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.runtime.cuda import (
    BoundKernel,
    CudaContext,
    DeviceBuffer,
    DeviceSpan,
    KernelModule,
    KernelSource,
    PinnedBuffer,
)
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device.constants import FOLDER
from awml_extractors.centerpoint.device.parameters import FIELD_WORDS, ROW, Parameters, box_fields
from awml_extractors.device import HEADERS

_LISTED, _CELLS_OF_BLOCK, _BINS = 32, 1024, 128 * 128
_RANKED_OF_BLOCK, _LISTED_OF_BLOCK, _PAIRED_OF_BLOCK = 32, 16, 4
"""Constants of the kernels: kListed, kCellsOfBlock, kBins; and boxes that a block takes at once."""
_MOST_BLOCKS = 1024
_COUNTERS, _HEADER = 4, 4


def kernel_sources(classes: int, *, half: bool) -> tuple[KernelSource, KernelSource]:
    """The kernels of decoding and of suppression for a number of classes and a type of head outputs."""
    layout = f"-DPARAMETER_BYTES={ctypes.sizeof(Parameters)}"
    element = ("-DHEAD_HALF=1",) if half else ()
    return (
        KernelSource(FOLDER / "decode.cu", (layout, f"-DCLASSES={classes}", *element), (HEADERS,)),
        KernelSource(FOLDER / "suppress.cu", (layout,), (HEADERS,)),
    )


@dataclass(frozen=True)
class DecoderMemory:
    """All memory of a decoder."""

    capacity: int
    """Room for candidates."""
    device: Mapping[str, DeviceBuffer]
    """By the name of the kernels' parameters."""
    header: PinnedBuffer
    """int32: candidates, boxes decoded, boxes not finite, boxes left."""
    boxes: PinnedBuffer
    """Fields of :data:`~awml_extractors.centerpoint.device.parameters.ROW`, one behind the other with room
    for ``capacity`` boxes each, so that a frame's are copied as they lie."""
    fields: Mapping[str, npt.NDArray[Any]]
    """Views of ``boxes`` by field, [capacity, ...]."""

    @classmethod
    def of(cls, context: CudaContext, capacity: int) -> DecoderMemory:
        """Memory for ``capacity`` candidates.

        Raises:
            DeviceError: The device has no memory left.
        """
        buffers = {
            "parameters": context.buffer((ctypes.sizeof(Parameters),), np.uint8),
            "counters": context.buffer((_COUNTERS,), np.int32),
            "keys": context.buffer((capacity,), np.uint64),
            "rows": context.buffer((capacity, ROW.itemsize), np.uint8),
            "spots": context.buffer((capacity, 4), np.float32),
            "turns": context.buffer((capacity, 2), np.float64),
            "heads": context.buffer((_BINS,), np.int32),
            "nexts": context.buffer((capacity,), np.int32),
            "nears": context.buffer((capacity, 2), np.int32),
            "near_lists": context.buffer((_LISTED, capacity), np.int32),
            "apart": context.buffer((capacity,), np.int32),
            "spots_apart": context.buffer((capacity, 4), np.float32),
            "dropped": context.buffer((capacity,), np.int32),
        }
        boxes = context.pinned((capacity * FIELD_WORDS,), np.float32)
        header = context.pinned((_HEADER,), np.int32)
        return cls(capacity, buffers, header, boxes, box_fields(boxes.array))


def bind_launches(
    modules: tuple[KernelModule, KernelModule],
    memory: DecoderMemory,
    config: CenterPointConfig,
    heads: Mapping[str, int],
    pillars: int,
    *,
    half: bool,
) -> tuple[list[BoundKernel], list[BoundKernel]]:
    """The launches of decoding and of suppression, in order; their sizes depend on no frame.

    Args:
        modules: Of :func:`kernel_sources`.
        memory: Of the decoder.
        config: The variant.
        heads: Device address of every output of the head.
        pillars: Device address of the frame's int32 number of pillars, or 0.
        half: Whether the head's outputs are float16.
    """
    width, height = config.output_size
    plane = width * height * (2 if half else 4)
    arguments: dict[str, Any] = {
        **{name: DeviceSpan(heads[name], count * plane) for name, count in config.head_outputs.items()},
        **memory.device,
        "pillars": np.uint64(pillars),
        "header": memory.header,
        "boxes": memory.boxes,
        "capacity": np.int32(memory.capacity),
    }

    def bind(
        module: KernelModule, name: str, blocks: int, threads: int, names: str, shared: int = 0
    ) -> BoundKernel:
        chosen = [arguments[each] for each in names.split()]
        return module.kernel(name).bind(blocks, threads, chosen, shared=shared)

    decode, suppress = modules
    room = memory.capacity
    ranks, lists, pairs = (
        min(_blocks(room, size), _MOST_BLOCKS)
        for size in (_RANKED_OF_BLOCK, _LISTED_OF_BLOCK, _PAIRED_OF_BLOCK)
    )
    masks = 4 * 4 * _blocks(room, 32)
    cells = _blocks(width * height, _CELLS_OF_BLOCK)
    decoded = "counters rows spots turns heads nexts"
    return [
        bind(decode, "begin_frame", 1, 32, "pillars counters"),
        bind(decode, "find_candidates", cells, 256, "parameters heatmap reg rot counters keys heads"),
        bind(decode, "sort_and_decode", ranks, 256, f"parameters keys reg height dim rot vel {decoded}"),
    ], [
        bind(
            suppress,
            "list_near_boxes",
            lists,
            256,
            "parameters counters spots heads nexts nears near_lists",
        ),
        bind(
            suppress,
            "suppress_near_boxes",
            1,
            1024,
            "parameters counters spots nears near_lists apart spots_apart",
            masks,
        ),
        bind(
            suppress,
            "find_overlaps",
            pairs,
            128,
            "parameters counters rows turns apart spots_apart dropped",
        ),
        bind(
            suppress, "write_boxes", 1, 1024, "parameters counters rows apart dropped header boxes capacity"
        ),
    ]


def _blocks(count: int, size: int) -> int:
    return -(-count // size)
