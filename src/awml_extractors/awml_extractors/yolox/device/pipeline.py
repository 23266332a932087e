"""YOLOX from camera images to 2D detections on the GPU."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from awml_deploy_core.detections2d import Detections2D
from awml_deploy_core.images import Image
from awml_deploy_core.pipeline import StageClock, TensorTap
from awml_deploy_core.runtime.cuda import CudaContext, KernelModule, LoadModule
from awml_deploy_core.runtime.session import Session
from awml_extractors.pipeline_choice import device_of
from awml_extractors.yolox.config import YoloxConfig
from awml_extractors.yolox.device.frame import DeviceFrame, DeviceSettings
from awml_extractors.yolox.pipeline_base import YoloxPipelineBase


class DeviceYoloxPipeline(YoloxPipelineBase):
    """Network, decoding and suppression on the GPU; letterboxing on the host.

    Given the same output of the session, detections and counts are those of
    :class:`~awml_extractors.yolox.pipeline.YoloxPipeline`, bit for bit. Boxes are moved into the image on
    the host, which is timed with NMS.

    Stages are timed by CUDA events; ``letterbox`` begins on the host and has the upload.

    Args:
        config: The variant.
        sessions: Its session, by component name; of the GPU, or of the host through a bridge.
        options: Changes to ``config.options``.
        settings: Capacities and choices that are fixed from here on.
        context: The GPU, which the pipeline closes; opened here if None: that of the session, or the
            first one.
        load: Makes the kernels of a source.

    Raises:
        ConfigError: The session is missing, or its tensors are not float32.
        ParameterError: An option is unknown or invalid, or the model is too large for the GPU.
        MissingDependencyError, KernelCompileError: cuda-python or NVRTC is not installed, or too old.
        BackendUnavailableError: There is no GPU.
        DeviceError: The device has no memory left.
    """

    def __init__(
        self,
        config: YoloxConfig,
        sessions: Mapping[str, Session],
        options: Mapping[str, Any],
        settings: DeviceSettings | None = None,
        *,
        context: CudaContext | None = None,
        load: LoadModule = KernelModule,
    ) -> None:
        super().__init__(config, sessions, options)
        context = context or CudaContext(device_of(self.sessions))
        try:
            self._frame = DeviceFrame(
                context, config, self._session, self._options, settings or DeviceSettings(), load
            )
        except BaseException:
            context.close()
            raise

    @property
    def frame(self) -> DeviceFrame:
        """What runs the images; shared by the pipelines of :meth:`with_options`."""
        return self._frame

    def warm_up(self) -> None:
        """Let the session choose its algorithms, capture the graphs, and compile what the host may need."""
        super().warm_up()
        self._frame.warm_up()

    def close(self) -> None:
        """Release session, graphs and memory. Calling it twice is allowed."""
        self._frame.close()
        super().close()

    def _infer(
        self, sample: Image, clock: StageClock, tap: TensorTap | None
    ) -> tuple[Detections2D, Mapping[str, int]]:
        done = self._frame.run(sample, self._options)
        start = time.perf_counter_ns()
        detections, counts = self._finished(done.decoded.kept, done.decoded.boxes_decoded, done.letterbox)
        host_ms = (time.perf_counter_ns() - start) * 1e-6
        for name, milliseconds in done.latencies:
            clock.add(name, milliseconds + (host_ms if name == "nms" else 0.0), "cuda")
        if tap is not None:
            tap.record(self._session.spec.name, *self._frame.tensors())
        return detections, counts
