"""One image on the GPU: network, decoding and suppression, as few graphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import AwmlDeployError, ConfigError
from awml_deploy_core.images import Image
from awml_deploy_core.runtime.cuda import CudaContext, KernelModule, LoadModule, drain, to_host
from awml_deploy_core.runtime.cuda.bridge import on_device
from awml_deploy_core.runtime.cuda.program import Program, Step
from awml_deploy_core.runtime.cuda.session import largest_shape
from awml_deploy_core.runtime.session import Session
from awml_extractors.axes import least
from awml_extractors.yolox.config import YoloxConfig
from awml_extractors.yolox.device.decoder import MAX_BOXES, DecodedImage, DeviceDecoder
from awml_extractors.yolox.letterbox import Letterbox
from awml_extractors.yolox.options import YoloxOptions

Tensors = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class DeviceSettings:
    """Capacities and choices of an image on the GPU, all of them fixed when it is built."""

    max_boxes: int = MAX_BOXES
    """Boxes before suppression that the GPU has room for; an image with more is decoded on the host."""
    graphs: bool = True
    """Whether the work is captured in graphs; without, every kernel is launched by the host."""
    timed: bool = True
    """Whether events mark the ends of the stages."""


@dataclass(frozen=True, eq=False)
class ImageOnDevice:
    """What one image gave."""

    letterbox: Letterbox
    decoded: DecodedImage
    latencies: tuple[tuple[str, float], ...]
    """Milliseconds by stage, from events; empty where none are recorded."""


class DeviceFrame:
    """Memory, kernels, session and graphs of one pipeline; it runs one image at a time.

    The host letterboxes the image into pinned memory; a frame is then one launch a graph, and one wait.
    The first frame runs twice: eagerly, so that the backend chooses its algorithms and allocates, and
    then as it was captured, so that it gives what it gives later on.

    Args:
        context: The GPU, which this closes.
        config: The variant.
        session: Of the GPU or, through a bridge, of the host.
        options: Of decoding and suppression, for a start.
        settings: Capacities and choices.
        load: Makes the kernels of a source.

    Raises:
        ConfigError, ParameterError: The model is not what the kernels take.
        KernelCompileError, MissingDependencyError: The kernels cannot be compiled.
        DeviceError: The device has no memory left.
    """

    def __init__(
        self,
        context: CudaContext,
        config: YoloxConfig,
        session: Session,
        options: YoloxOptions,
        settings: DeviceSettings,
        load: LoadModule = KernelModule,
    ) -> None:
        (source,), (result,) = session.spec.inputs, session.spec.outputs
        for tensor in (source, result):
            if tensor.dtype != "float32":
                raise ConfigError(
                    f"tensor {tensor.name}",
                    "has another type on the GPU",
                    got=tensor.dtype,
                    expected="float32",
                )
        self._context = context
        self._config = config
        self._settings = settings
        self._options = options
        self._batch = least(source.shape[0])
        # Images beside the first stay empty.
        self._images = context.buffer(largest_shape(source), source.dtype, fill=0)
        self._output = context.buffer(largest_shape(result), result.dtype)
        self._staged = context.pinned((1, 3, *config.input_size), np.float32)
        self._session = on_device(session, context)
        self._session.bind({source.name: self._images, result.name: self._output})
        self._session.set_shapes({source.name: (self._batch, 3, *config.input_size)})
        self._decoder = DeviceDecoder(context, config, options, self._output, settings.max_boxes, load=load)
        steps = (
            Step("letterbox", self._upload),
            Step("model", self._session.enqueue, capturable=self._session.capturable),
            Step("decode", self._decoder.decode),
            Step("nms", self._decoder.suppress),
        )
        self._program = Program(context, steps, timed=settings.timed)
        context.synchronize()

    @property
    def graph_count(self) -> int:
        """Graphs that a frame launches; 0 before the first frame, or where none are used."""
        return self._program.graph_count

    def warm_up(self) -> None:
        """Compile what only an image with too many candidates needs."""
        self._decoder.warm_up()

    def run(self, image: Image, options: YoloxOptions) -> ImageOnDevice:
        """Run one image with the options of its pipeline.

        Raises:
            ImageError: The image is too narrow.
            InferenceError: The session or the device failed.
            DeviceLostError: The device failed for good.
        """
        # The thread that opened the pipeline may be another one.
        self._context.activate()
        if options is not self._options:
            self._decoder.set_options(options)
            self._options = options
        size = self._config.input_size
        try:
            self._program.start()
            letterbox = Letterbox.of(image.width, image.height, size)
            letterbox.make_input(image, size, self._staged.array)
            self._run_program()
            self._context.synchronize()
        except AwmlDeployError:
            drain(self._context)
            raise
        return ImageOnDevice(letterbox, self._decoder.results(), tuple(self._program.latencies()))

    def tensors(self) -> tuple[Tensors, Tensors]:
        """Inputs and outputs of the session in the last frame, as copies on the host."""
        (source,), (result,) = self._session.spec.inputs, self._session.spec.outputs
        return (
            {source.name: to_host(self._context, self._images)[: self._batch]},
            {result.name: to_host(self._context, self._output)[: self._batch]},
        )

    def close(self) -> None:
        """Release graphs and memory; the session stays open. Calling it twice is allowed."""
        self._program.close()
        self._context.close()

    def _upload(self, stream: int) -> None:
        self._context.copy(self._images.address, self._staged.address, self._staged.size, stream)

    def _run_program(self) -> None:
        if not self._settings.graphs:
            self._program.run_eagerly()
            return
        if not self._program.is_captured:
            self._program.run_eagerly()
            self._context.synchronize()
            self._program.capture()
            # What is captured is not run, so the frame has to be.
            self._program.start()
        self._program.run()
