"""One frame on the GPU: everything from the points to the boxes, as few graphs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from awml_deploy_core.errors import AwmlDeployError, InferenceError
from awml_deploy_core.points import PointCloudFrame
from awml_deploy_core.runtime.cuda import CudaContext, KernelModule, LoadModule, drain, to_host
from awml_deploy_core.runtime.cuda.bridge import on_device
from awml_deploy_core.runtime.cuda.program import Program, Step
from awml_deploy_core.runtime.cuda.session import DeviceSession, largest_shape
from awml_deploy_core.runtime.session import Session
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device.decoder import DecodedFrame, DeviceDecoder
from awml_extractors.centerpoint.device.encoder import DeviceEncoder, choose_rows
from awml_extractors.centerpoint.device.parameters import parameters_of
from awml_extractors.centerpoint.device.scatter import DeviceScatter
from awml_extractors.centerpoint.device.settings import DeviceSettings, EncoderRows
from awml_extractors.centerpoint.device.voxelizer import DeviceVoxelizer
from awml_extractors.centerpoint.options import PostprocessOptions
from awml_extractors.centerpoint.pillars import PillarCounts
from awml_extractors.centerpoint.pipeline_base import pillar_limits

_LOG = logging.getLogger(__name__)

Tensors = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class FrameOnDevice:
    """What one frame gave."""

    counts: PillarCounts
    decoded: DecodedFrame
    latencies: tuple[tuple[str, float], ...]
    """Milliseconds by stage, from events; empty where none are recorded."""


class DeviceFrame:
    """Memory, kernels, sessions and graphs of one pipeline; it runs one frame at a time.

    A frame is an upload of what the device does not have, one launch a graph, and one wait. The
    first frame runs twice: eagerly, so that backends choose their algorithms and allocate, and then
    as it was captured, so that it gives what it gives later on.

    Args:
        context: The GPU, which this closes.
        config: The variant.
        encoder: ``pts_voxel_encoder``; of the GPU or, through a bridge, of the host.
        head: ``pts_backbone_neck_head``, likewise.
        options: Of decoding and suppression, for a start.
        settings: Capacities and choices.
        load: Makes the kernels of a source.

    Raises:
        ConfigError, ParameterError: The model is too large for the kernels.
        TensorMismatchError: A session takes more rows than the model has pillars.
        KernelCompileError, MissingDependencyError: The kernels cannot be compiled.
        DeviceError: The device has no memory left.
    """

    def __init__(
        self,
        context: CudaContext,
        config: CenterPointConfig,
        encoder: Session,
        head: Session,
        options: PostprocessOptions,
        settings: DeviceSettings,
        load: LoadModule = KernelModule,
    ) -> None:
        self._context = context
        self._config = config
        self._settings = settings
        self._options = options
        self._min_rows, max_voxels = pillar_limits(config, encoder)
        self._voxelizer = DeviceVoxelizer(
            context,
            config,
            max_points=settings.max_points,
            max_sweeps=settings.max_sweeps,
            max_voxels=max_voxels,
            min_rows=self._min_rows,
            dtype=encoder.spec.inputs[0].dtype,
            load=load,
        )
        resident = on_device(encoder, context)
        self._encoder = DeviceEncoder(
            context,
            resident,
            self._voxelizer.features,
            self._voxelizer.pillars,
            lambda: self._voxelizer.counts().pillars,
            choose_rows(self._settings.encoder_rows, resident, graphs=self._settings.graphs),
        )
        self._scatter = DeviceScatter(
            context, config, max_voxels=max_voxels, dtype=head.spec.inputs[0].dtype, load=load
        )
        self._head = on_device(head, context)
        self._outputs = {
            tensor.name: context.buffer(largest_shape(tensor), tensor.dtype) for tensor in head.spec.outputs
        }
        self._decoder = DeviceDecoder(
            context,
            config,
            options,
            settings.max_boxes,
            half=head.spec.outputs[0].dtype == "float16",
            load=load,
        )
        # The order of the outputs, not their names, is the exchange format.
        self._head_addresses = {
            name: self._outputs[tensor.name].address
            for name, tensor in zip(config.head_outputs, head.spec.outputs, strict=False)
        }
        self._bind_head(self._head)
        self._program = self._build()
        context.synchronize()

    @property
    def graph_count(self) -> int:
        """Graphs that a frame launches; 0 before the first frame, or where none are used."""
        return self._program.graph_count

    @property
    def encoder_rows(self) -> EncoderRows:
        """How the number of rows of the encoder is found; not ``auto``."""
        return self._encoder.rows

    @property
    def voxelizer(self) -> DeviceVoxelizer:
        return self._voxelizer

    def check_options(self, options: PostprocessOptions) -> None:
        """Raise a ParameterError if the kernels cannot take the options; the device is not touched."""
        parameters_of(self._config, options, self._settings.max_boxes)

    def run(self, sample: PointCloudFrame, options: PostprocessOptions) -> FrameOnDevice:
        """Run one frame with the options of its pipeline.

        Raises:
            PointCloudError: The sample is malformed, or larger than the capacities.
            InferenceError: A session or the device failed.
            DeviceLostError: The device failed for good.
        """
        # The thread that opened the pipeline may be another one.
        self._context.activate()
        if options is not self._options:
            self._decoder.set_options(options)
            self._options = options
        try:
            self._program.start()
            self._voxelizer.upload(self._context.stream, sample)
            self._run_program()
            self._context.synchronize()
        except AwmlDeployError:
            drain(self._context)
            raise
        return FrameOnDevice(
            self._voxelizer.counts(),
            self._decoder.results(),
            tuple(self._program.latencies()),
        )

    def tensors(self, pillars: int) -> tuple[tuple[Tensors, Tensors], tuple[Tensors, Tensors]]:
        """Inputs and outputs of encoder and head in the last frame, as copies on the host.

        Args:
            pillars: Of that frame; the encoder's tensors have as many rows, or the least it takes.
        """
        rows = max(pillars, self._min_rows)
        encoder, head = self._encoder, self._head.spec
        (source,), (result,) = encoder.spec.inputs, encoder.spec.outputs
        (canvas,) = head.inputs
        return (
            (
                {source.name: to_host(self._context, self._voxelizer.features)[:rows]},
                {result.name: to_host(self._context, encoder.output)[:rows]},
            ),
            (
                {canvas.name: to_host(self._context, self._scatter.canvas)},
                {name: to_host(self._context, buffer) for name, buffer in self._outputs.items()},
            ),
        )

    def close(self) -> None:
        """Release graphs and memory; the sessions stay open. Calling it twice is allowed."""
        self._program.close()
        self._context.close()

    def _bind_head(self, head: DeviceSession) -> None:
        (tensor,) = head.spec.inputs
        head.bind({tensor.name: self._scatter.canvas, **self._outputs})
        head.set_shapes({tensor.name: largest_shape(tensor)})

    def _build(self) -> Program:
        context, voxelizer, decoder = self._context, self._voxelizer, self._decoder
        scatter = self._scatter.bind(self._encoder.output, voxelizer.coordinates, voxelizer.pillars)
        decode, suppress = decoder.bind(self._head_addresses, pillars=voxelizer.pillars.address)

        steps = (
            Step("voxelize", voxelizer.enqueue),
            self._encoder.step(),
            Step("scatter", scatter.enqueue),
            Step("backbone_head", self._head.enqueue, capturable=self._head.capturable),
            Step("decode_boxes", decode),
            Step("nms", suppress),
        )
        return Program(context, steps, timed=self._settings.timed)

    def _run_program(self) -> None:
        if not self._settings.graphs:
            self._program.run_eagerly()
            return
        if not self._program.is_captured:
            self._program.run_eagerly()
            self._context.synchronize()
            self._capture()
            # What is captured is not run, so the frame has to be.
            self._describe_again()
            self._program.start()
        self._program.run()

    def _describe_again(self) -> None:
        """A frame that has run has counted: its header brings the zeros back."""
        self._voxelizer.send_header(self._context.stream)

    def _capture(self) -> None:
        try:
            self._program.capture()
        except InferenceError as error:
            if self._settings.encoder_rows != "auto" or self._encoder.rows != "device":
                raise
            _LOG.warning("the encoder runs at full size, as the driver has no conditional nodes: %s", error)
            self._encoder.rows = "full"
            self._program.close()
            self._program = self._build()
            self._describe_again()
            self._program.run_eagerly()
            self._context.synchronize()
            self._program.capture()
