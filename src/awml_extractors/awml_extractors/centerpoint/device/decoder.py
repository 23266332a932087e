"""Decoding and suppression on the GPU: head outputs in device memory to boxes in the host's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import ParameterError, TensorMismatchError
from awml_deploy_core.runtime.cuda import BoundKernel, CudaContext, KernelModule, LoadModule
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.decode import HeadMaps, decode_autoware
from awml_extractors.centerpoint.decode_mmdet3d import decode_mmdet3d
from awml_extractors.centerpoint.device.decoder_launches import DecoderMemory, bind_launches, kernel_sources
from awml_extractors.centerpoint.device.parameters import parameters_of
from awml_extractors.centerpoint.nms import suppress
from awml_extractors.centerpoint.options import PostprocessOptions

MAX_BOXES = 8192
"""Default room for candidates: cells, or cells and classes, that pass the thresholds."""
_MOST_BOXES = 32768
"""Four bits a box have to fit into the shared memory of a block."""
_MOST_BINDINGS = 16
"""Sets of addresses whose launches are kept."""


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
        load: LoadModule = KernelModule,
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
        self._launches: dict[tuple[int, ...], tuple[list[BoundKernel], list[BoundKernel]]] = {}
        self._memory = DecoderMemory.of(context, max_boxes)
        self.set_options(options)
        sources = kernel_sources(len(config.class_names), half=half)
        self._modules = (load(context, sources[0]), load(context, sources[1]))

    def set_options(self, options: PostprocessOptions) -> None:
        """Use other options from the next frame on; waits until the device has them.

        No frame may be under way, nor its results unread.

        Raises:
            ParameterError: More distance bins than the kernels take; the options stay as they were.
        """
        block = parameters_of(self._config, options, self._max_boxes)
        self._context.upload(
            self._memory.device["parameters"].address, np.frombuffer(bytes(block), np.uint8)
        )
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
        decode, suppress_ = self._bound(head_addresses, pillars)
        return partial(_enqueue_all, decode), partial(_enqueue_all, suppress_)

    def steps(
        self, head_addresses: Mapping[str, int], *, pillars: int = 0
    ) -> dict[str, Callable[[int], None]]:
        """What :meth:`enqueue` puts on a stream, in order, by name, for who measures it."""
        decode, suppress_ = self._bound(head_addresses, pillars)
        return {launch.kernel.name: launch.enqueue for launch in (*decode, *suppress_)}

    def _bound(
        self, head_addresses: Mapping[str, int], pillars: int
    ) -> tuple[list[BoundKernel], list[BoundKernel]]:
        self._heads = self._addresses(head_addresses)
        key = (*self._heads.values(), pillars)
        if key not in self._launches:
            if len(self._launches) == _MOST_BINDINGS:
                self._launches.clear()
            self._launches[key] = bind_launches(
                self._modules, self._memory, self._config, self._heads, pillars, half=self._half
            )
        return self._launches[key]

    def results(self, head_addresses: Mapping[str, int] | None = None) -> DecodedFrame:
        """The frame that ran last, after its stream was synchronised.

        Arrays of the detections are of their own, and stay when the next frame comes.

        Args:
            head_addresses: Of that frame, where it was the replay of another graph than that which
                was enqueued last.
        """
        if head_addresses is not None:
            self._heads = self._addresses(head_addresses)
        candidates, decoded, non_finite, boxes = (int(value) for value in self._memory.header.array)
        if candidates > self._max_boxes:
            return self._on_host(candidates)
        detections = Detections(
            **{name: field[:boxes].copy() for name, field in self._memory.fields.items()},
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


def _enqueue_all(launches: Sequence[BoundKernel], stream: int) -> None:
    for launch in launches:
        launch.enqueue(stream)
