"""Decoding and suppression on the GPU: head outputs in device memory to boxes in the host's."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import ParameterError, TensorMismatchError
from awml_deploy_core.runtime.cuda import (
    BoundKernel,
    CudaContext,
    DeviceBuffer,
    DeviceSpan,
    KernelModule,
    KernelSource,
)
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.decode import HeadMaps, decode_autoware
from awml_extractors.centerpoint.decode_mmdet3d import decode_mmdet3d
from awml_extractors.centerpoint.device.parameters import ROW, Parameters, parameters_of
from awml_extractors.centerpoint.nms import suppress
from awml_extractors.centerpoint.options import PostprocessOptions

MAX_BOXES = 8192
"""Default room for candidates: cells, or cells and classes, that pass the thresholds."""
_MOST_BOXES = 32768
"""Four bits a box have to fit into the shared memory of a block."""
_KERNELS = Path(__file__).parent / "kernels"
_LISTED, _CELLS_OF_BLOCK, _KEYS_OF_BLOCK, _MOST_BLOCKS = 32, 1024, 32, 1024
_COUNTERS, _HEADER = 4, 4
_DECODING = 3
_MOST_BINDINGS = 16
"""Sets of addresses whose launches are kept."""

Loader = Callable[[CudaContext, KernelSource], KernelModule]


def kernel_sources(classes: int, *, half: bool) -> tuple[KernelSource, KernelSource]:
    """The kernels of decoding and of suppression for a number of classes and a type of head outputs."""
    layout = f"-DPARAMETER_BYTES={ctypes.sizeof(Parameters)}"
    element = ("-DHEAD_HALF=1",) if half else ()
    return (
        KernelSource(_KERNELS / "decode.cu", (layout, f"-DCLASSES={classes}", *element)),
        KernelSource(_KERNELS / "suppress.cu", (layout,)),
    )


@dataclass(frozen=True)
class DecodedFrame:
    """Boxes of a frame after suppression, and what became of the others."""

    detections: Detections
    boxes_decoded: int
    """Before suppression."""
    boxes_non_finite: int
    """Dropped because the head gave NaN or infinity."""
    candidates: int
    """Cells, or cells and classes, that passed the thresholds."""
    on_host: bool
    """Whether they were too many for the GPU, so that the host decoded the frame."""

    def as_dict(self) -> dict[str, int]:
        """The counts that every frame of the pipeline reports."""
        return {
            "boxes_decoded": self.boxes_decoded,
            "boxes_non_finite": self.boxes_non_finite,
            "boxes": len(self.detections),
        }


class DeviceDecoder:
    """``decode_autoware`` or ``decode_mmdet3d`` and then ``suppress`` on the GPU, bit for bit.

    Everything is allocated here. A frame is seven launches whose sizes and arguments never change, so
    that a CUDA graph of them replays with whatever options are set; the last one writes the boxes
    that are left into pinned memory. A frame with more candidates than there is room for is decoded
    on the host by :meth:`results`: slower, with the same boxes.

    Args:
        context: Of the GPU; it owns the memory.
        config: The variant.
        options: Those in force, written out for the variant's classes.
        max_boxes: Room for candidates.
        half: Whether the head's outputs are float16; each is converted to float32, exactly.
        load: Makes kernels of a source.

    Raises:
        ParameterError: ``max_boxes`` is out of range, or the model has more classes, distance bins
            or cells than the kernels take.
        KernelCompileError, MissingDependencyError: The kernels cannot be compiled.
        DeviceError: The device has no memory left.
    """

    def __init__(
        self,
        context: CudaContext,
        config: CenterPointConfig,
        options: PostprocessOptions,
        max_boxes: int = MAX_BOXES,
        *,
        half: bool = False,
        load: Loader = KernelModule,
    ) -> None:
        if not 1 <= max_boxes <= _MOST_BOXES:
            raise ParameterError(
                "max_boxes", "is out of range", got=max_boxes, expected=f"1..{_MOST_BOXES}"
            )
        self._context = context
        self._config = config
        self._max_boxes = max_boxes
        self._half = half
        self._heads: dict[str, int] = {}
        self._launches: dict[tuple[int, ...], list[BoundKernel]] = {}
        self._parameters = context.buffer((ctypes.sizeof(Parameters),), np.uint8)
        self._buffers: dict[str, DeviceBuffer] = {
            "counters": context.buffer((_COUNTERS,), np.int32),
            "keys": context.buffer((max_boxes,), np.uint64),
            "rows": context.buffer((max_boxes, ROW.itemsize), np.uint8),
            "centers": context.buffer((max_boxes, 2), np.float32),
            "turns": context.buffer((max_boxes, 2), np.float64),
            "near_counts": context.buffer((max_boxes,), np.int32),
            "near_lists": context.buffer((_LISTED, max_boxes), np.int32),
            "apart": context.buffer((max_boxes,), np.int32),
            "dropped": context.buffer((max_boxes,), np.int32),
            "chosen": context.buffer((max_boxes,), np.int32),
        }
        self._header = context.pinned((_HEADER,), np.int32)
        self._out = context.pinned((max_boxes,), ROW)
        self.set_options(options)
        decode, suppress_ = kernel_sources(len(config.class_names), half=half)
        self._decode, self._suppress = load(context, decode), load(context, suppress_)

    def set_options(self, options: PostprocessOptions) -> None:
        """Use other options from the next frame on; waits until the device has them.

        No frame may be under way, nor its results unread.

        Raises:
            ParameterError: More distance bins than the kernels take; the options stay as they were.
        """
        block = parameters_of(self._config, options, self._max_boxes)
        self._context.upload(self._parameters.address, np.frombuffer(block, np.uint8))
        self._context.synchronize()
        self._options = options

    def enqueue(self, stream: int, head_addresses: Mapping[str, int], *, pillars: int = 0) -> None:
        """Put a frame on a stream; nothing is allocated from the second frame of an address on.

        Args:
            stream: Its handle.
            head_addresses: Device address of every output ``[1, c, h, w]`` by its name in
                ``config.head_outputs``, of the order of the bytes in memory. The outputs must stay
                until :meth:`results` has been called.
            pillars: Device address of the frame's int32 number of pillars, or 0. A frame without any
                has no boxes, whatever the head's outputs are.

        Raises:
            TensorMismatchError: An output is missing.
        """
        for stage in self.bind(head_addresses, pillars=pillars):
            stage(stream)

    def bind(
        self, head_addresses: Mapping[str, int], *, pillars: int = 0
    ) -> tuple[Callable[[int], None], Callable[[int], None]]:
        """Decoding and suppression of a frame, each to be put on a stream, one after the other.

        Arguments and errors are those of :meth:`enqueue`; :meth:`results` then takes these addresses.
        """
        self._heads = self._addresses(head_addresses)
        key = (*self._heads.values(), pillars)
        if key not in self._launches:
            if len(self._launches) == _MOST_BINDINGS:
                self._launches.clear()
            self._launches[key] = self._bind(pillars)
        launches = self._launches[key]
        decode, suppress_ = launches[:_DECODING], launches[_DECODING:]
        return partial(_enqueue_all, decode), partial(_enqueue_all, suppress_)

    def results(self, head_addresses: Mapping[str, int] | None = None) -> DecodedFrame:
        """The frame that ran last, after its stream was synchronised.

        Arrays of the detections are of their own, and stay when the next frame comes.

        Args:
            head_addresses: Of that frame, where it was the replay of another graph than that which
                was enqueued last.
        """
        if head_addresses is not None:
            self._heads = self._addresses(head_addresses)
        candidates, decoded, non_finite, boxes = (int(value) for value in self._header.array)
        if candidates > self._max_boxes:
            return self._on_host(candidates)
        rows = self._out.array[:boxes]
        detections = Detections(
            **{name: np.ascontiguousarray(rows[name]) for name in (ROW.names or ()) if name != "unused"},
            class_names=self._config.class_names,
            has_velocity=self._config.has_twist,
        )
        return DecodedFrame(detections, decoded, non_finite, candidates, False)

    def _addresses(self, given: Mapping[str, int]) -> dict[str, int]:
        if missing := [name for name in self._config.head_outputs if name not in given]:
            raise TensorMismatchError("head outputs", "have no address", problems=missing)
        return {name: int(given[name]) for name in self._config.head_outputs}

    def _on_host(self, candidates: int) -> DecodedFrame:
        """The frame from a copy of the head's outputs."""
        width, height = self._config.output_size
        outputs: dict[str, npt.NDArray[Any]] = {}
        for name, channels in self._config.head_outputs.items():
            outputs[name] = np.empty((1, channels, height, width), np.float16 if self._half else np.float32)
            self._context.download(outputs[name], self._heads[name])
        self._context.synchronize()
        decode = decode_mmdet3d if self._options.decoder == "mmdet3d" else decode_autoware
        decoded = decode(HeadMaps.from_outputs(self._config, outputs), self._config, self._options)
        detections = suppress(decoded.detections, self._options)
        return DecodedFrame(detections, len(decoded.detections), decoded.non_finite, candidates, True)

    def _bind(self, pillars: int) -> list[BoundKernel]:
        """The launches of a frame, in order: :data:`_DECODING` of decoding, then those of suppression."""
        room, classes = self._max_boxes, len(self._config.class_names)
        width, height = self._config.output_size
        element = 2 if self._half else 4
        channels = {**self._config.head_outputs, "heatmap": classes}
        memory: dict[str, Any] = {
            **{
                name: DeviceSpan(address, channels[name] * width * height * element)
                for name, address in self._heads.items()
            },
            **self._buffers,
            "parameters": self._parameters,
            "pillars": np.uint64(pillars),
            "header": self._header,
            "out": self._out,
        }
        masks = 4 * 4 * _blocks(room, 32)

        def bind(module: KernelModule, name: str, blocks: int, threads: int, *names: str) -> Any:
            shared = masks if name == "suppress_near_boxes" else 0
            kernel = module.kernel(name, dynamic_shared=shared if shared > 48 * 1024 else 0)
            return kernel.bind(blocks, threads, [memory[each] for each in names], shared=shared)

        maps = ("reg", "height", "dim", "rot", "vel")
        cells = _blocks(width * height, _CELLS_OF_BLOCK)
        sorting, near = (min(_blocks(room, boxes), _MOST_BLOCKS) for boxes in (_KEYS_OF_BLOCK, 8))
        overlaps = min(_blocks(room, 4), _MOST_BLOCKS)
        head, common = ("parameters", "heatmap", "reg", "rot"), ("parameters", "counters")
        one, two = self._decode, self._suppress
        return [
            bind(one, "begin_frame", 1, 32, "pillars", "counters"),
            bind(one, "find_candidates", cells, 256, *head, "counters", "keys"),
            bind(
                one,
                "sort_and_decode",
                sorting,
                256,
                *("parameters", "keys", *maps, "counters", "rows", "centers", "turns"),
            ),
            bind(two, "list_near_boxes", near, 256, *common, "centers", "near_counts", "near_lists"),
            bind(
                two,
                "suppress_near_boxes",
                1,
                1024,
                *(*common, "centers", "near_counts", "near_lists", "apart"),
            ),
            bind(two, "find_overlaps", overlaps, 128, *common, "rows", "turns", "apart", "dropped"),
            bind(
                two,
                "write_boxes",
                1,
                1024,
                *(*common, "rows", "apart", "dropped", "chosen", "header", "out"),
            ),
        ]


def _enqueue_all(launches: Sequence[BoundKernel], stream: int) -> None:
    for launch in launches:
        launch.enqueue(stream)


def _blocks(count: int, size: int) -> int:
    return -(-count // size)
