"""Decoding and suppression on the GPU: the network's output in device memory to boxes in the host's."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from awml_deploy_core.errors import ParameterError
from awml_deploy_core.runtime.cuda import (
    BoundKernel,
    CudaContext,
    DeviceBuffer,
    KernelModule,
    KernelSource,
    LoadModule,
    to_host,
)
from awml_extractors.device import HEADERS
from awml_extractors.yolox.config import YoloxConfig
from awml_extractors.yolox.decode import Candidates, Decoder
from awml_extractors.yolox.device.parameters import ROW, Parameters, parameters_of
from awml_extractors.yolox.options import YoloxOptions
from awml_extractors.yolox.selection import select

MAX_BOXES = 8192
"""Default room for candidates: cells, or cells and classes, above the threshold."""
_MOST_BOXES = 32768
"""A bit for every pair are 128 MiB."""
_MOST_PLACES = 2**31
"""Cells times classes: they are counted in 32 bits."""
_FOLDER = Path(__file__).parent / "kernels"
_THREADS, _RANKED_OF_BLOCK, _TILES_OF_BLOCK, _MOST_BLOCKS = 256, 32, 4, 1024
_COUNTERS, _HEADER = 3, 4

Enqueue = Callable[[int], None]


@dataclass(frozen=True)
class DecodedImage:
    """Boxes of an image after suppression, and what became of the others."""

    kept: Candidates
    boxes_decoded: int
    """Before suppression."""
    candidates: int
    """Cells, or cells and classes, above the threshold."""
    on_host: bool
    """Whether they were too many for the GPU, so that the host decoded the image."""


def kernel_sources(config: YoloxConfig, capacity: int) -> tuple[KernelSource, KernelSource]:
    """The kernels of decoding and of suppression for a variant and room for ``capacity`` candidates."""
    height, width = config.input_size
    common = (f"-DPARAMETER_BYTES={ctypes.sizeof(Parameters)}", f"-DCAPACITY={capacity}")
    model = (f"-DINPUT_WIDTH={width}", f"-DINPUT_HEIGHT={height}", f"-DCLASSES={len(config.class_names)}")
    return (
        KernelSource(_FOLDER / "decode.cu", (*common, *model), (HEADERS,)),
        KernelSource(_FOLDER / "suppress.cu", common, (HEADERS,)),
    )


class DeviceDecoder:
    """:class:`~awml_extractors.yolox.decode.Decoder` and then
    :func:`~awml_extractors.yolox.selection.select` on the GPU, bit for bit.

    Everything is allocated here. An image is a fill and four launches whose sizes and arguments never
    change, so that a CUDA graph of them replays with whatever options are set; the last one writes the
    boxes that are left into pinned memory. An image with more candidates than there is room for is
    decoded on the host by :meth:`results`: slower, with the same boxes.

    Args:
        context: Of the GPU; it owns the memory.
        config: The variant.
        options: Those in force.
        output: float32 ``[B, cells, 5 + K]`` on the device, of which the first image counts.
        max_boxes: Room for candidates.
        load: Makes kernels of a source.

    Raises:
        ParameterError: ``max_boxes`` is out of range, or the model has more cells and classes than the
            kernels take.
        KernelCompileError, MissingDependencyError: The kernels cannot be compiled.
        DeviceError: The device has no memory left.
    """

    def __init__(
        self,
        context: CudaContext,
        config: YoloxConfig,
        options: YoloxOptions,
        output: DeviceBuffer,
        max_boxes: int = MAX_BOXES,
        *,
        load: LoadModule = KernelModule,
    ) -> None:
        _check(config, max_boxes)
        self._context = context
        self._output = DeviceBuffer(
            output.address, output.size, (config.num_cells, config.num_values), output.dtype
        )
        self._max_boxes = max_boxes
        self._parameters = context.buffer((ctypes.sizeof(Parameters),), np.uint8)
        self._counters = context.buffer((_COUNTERS,), np.int32)
        self._header = context.pinned((_HEADER,), np.int32)
        self._boxes = context.pinned((max_boxes,), ROW)
        self._on_host = Decoder(config)
        self.set_options(options)
        self._decode, self._suppress = self._bind(config, load)

    def set_options(self, options: YoloxOptions) -> None:
        """Use other options from the next image on; waits until the device has them.

        No image may be under way, nor its results unread.
        """
        block = parameters_of(options, self._max_boxes)
        self._context.upload(self._parameters.address, np.frombuffer(bytes(block), np.uint8))
        self._context.synchronize()
        self._options = options

    def warm_up(self) -> None:
        """Compile what the host needs for an image with too many candidates."""
        self._on_host.decode(np.zeros(self._output.shape, np.float32), 1.0, every_class=False)

    def decode(self, stream: int) -> None:
        """Put decoding of an image on a stream."""
        self._begin(stream)
        for launch in self._decode:
            launch.enqueue(stream)

    def suppress(self, stream: int) -> None:
        """Put suppression on a stream, after :meth:`decode`."""
        for launch in self._suppress:
            launch.enqueue(stream)

    def steps(self) -> dict[str, Enqueue]:
        """What :meth:`decode` and :meth:`suppress` put on a stream, by name, for who measures it."""
        launches = (*self._decode, *self._suppress)
        return {"begin": self._begin, **{launch.kernel.name: launch.enqueue for launch in launches}}

    def _begin(self, stream: int) -> None:
        self._context.fill(self._counters.address, 0, self._counters.size, stream)

    def results(self) -> DecodedImage:
        """The image that ran last, after its stream was synchronised.

        Arrays are of their own, and stay when the next image comes.
        """
        candidates, decoded, non_finite, boxes = (int(value) for value in self._header.array)
        if candidates > self._max_boxes:
            return self._decoded_on_host(candidates)
        rows = self._boxes.array[:boxes]
        arrays = {name: np.ascontiguousarray(rows[name]) for name in ("boxes", "scores", "labels")}
        return DecodedImage(Candidates(**arrays, num_non_finite=non_finite), decoded, candidates, False)

    def _decoded_on_host(self, candidates: int) -> DecodedImage:
        options = self._options
        found = self._on_host.decode(
            to_host(self._context, self._output),
            options.score_threshold,
            every_class=options.decoder == "autoware",
        )
        return DecodedImage(select(found, options), len(found), candidates, True)

    def _bind(
        self, config: YoloxConfig, load: LoadModule
    ) -> tuple[tuple[BoundKernel, ...], tuple[BoundKernel, ...]]:
        """The launches of decoding and of suppression, in order; their sizes depend on no image."""
        context, room = self._context, self._max_boxes
        words = _blocks(room, 32)
        keys = context.buffer((room,), np.uint64)
        rows = context.buffer((room, ROW.itemsize), np.uint8)
        overlaps = context.buffer((words, 32 * words), np.uint32)
        chosen = context.buffer((room,), np.int32)
        parameters, counters, output = self._parameters, self._counters, self._output
        decode, suppress = (load(context, source) for source in kernel_sources(config, room))
        ranks = min(_blocks(room, _RANKED_OF_BLOCK), _MOST_BLOCKS)
        tiles = min(_blocks(words * words, _TILES_OF_BLOCK), _MOST_BLOCKS)
        return (
            decode.kernel("find_candidates").bind(
                _blocks(config.num_cells, _THREADS), _THREADS, (parameters, output, counters, keys)
            ),
            decode.kernel("sort_and_decode").bind(
                ranks, _THREADS, (parameters, keys, output, counters, rows)
            ),
        ), (
            suppress.kernel("find_overlaps").bind(
                tiles, 32 * _TILES_OF_BLOCK, (parameters, counters, rows, overlaps)
            ),
            suppress.kernel("write_boxes").bind(
                1,
                1024,
                (parameters, counters, rows, overlaps, chosen, self._header, self._boxes),
            ),
        )


def _check(config: YoloxConfig, max_boxes: int) -> None:
    if not 1 <= max_boxes <= _MOST_BOXES:
        raise ParameterError("max_boxes", "is out of range", got=max_boxes, expected=f"1..{_MOST_BOXES}")
    places = config.num_cells * len(config.class_names)
    if places >= _MOST_PLACES:
        raise ParameterError(
            "post-processing on the GPU",
            "cannot take the model",
            got=f"{places} cells times classes",
            expected=f"less than {_MOST_PLACES}",
        )


def _blocks(count: int, size: int) -> int:
    return -(-count // size)
