"""CenterPoint from point clouds to detections on the GPU."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from typing_extensions import Self

from awml_deploy_core.detections import Detections
from awml_deploy_core.pipeline import StageClock, TensorTap
from awml_deploy_core.points import PointCloudFrame, Sweep
from awml_deploy_core.runtime.cuda import CudaContext, KernelModule, LoadModule
from awml_deploy_core.runtime.session import Session
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device.frame import DeviceFrame
from awml_extractors.centerpoint.device.settings import DeviceSettings
from awml_extractors.centerpoint.pipeline_base import CenterPointPipelineBase, spread_points
from awml_extractors.pipeline_choice import device_of


class DeviceCenterPointPipeline(CenterPointPipelineBase):
    """The frame on the GPU between the bytes of the points and the boxes.

    Given the same outputs of the sessions, detections and counts are those of
    :class:`~awml_extractors.centerpoint.pipeline.CenterPointPipeline`, bit for bit. The class remapper
    runs on the host, and is timed with NMS.

    Stages are timed by CUDA events; ``voxelize`` begins with the staging of the points on the host and
    has their upload. A frame without a point in range gives no boxes, but runs all stages.

    Args:
        config: The variant.
        sessions: One session a component, by component name; of the GPU, or of the host through a
            bridge.
        options: Changes to ``config.postprocess``.
        settings: Capacities and choices that are fixed from here on.
        context: The GPU, which the pipeline closes; opened here if None: that of the sessions, or the
            first one.
        load: Makes the kernels of a source.

    Raises:
        ConfigError: A session is missing, or a pillar has too many points for the GPU.
        ParameterError: An option is unknown or invalid, a threshold names no class, or the model has
            more classes or bins than the kernels take.
        MissingDependencyError, KernelCompileError: cuda-python or NVRTC is not installed, or too old.
        BackendUnavailableError: There is no GPU.
        DeviceError: The device has no memory left.
    """

    def __init__(
        self,
        config: CenterPointConfig,
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
                context,
                config,
                self._encoder,
                self._head,
                self._options,
                settings or DeviceSettings(),
                load,
            )
        except BaseException:
            context.close()
            raise

    @property
    def frame(self) -> DeviceFrame:
        """What runs the frames; shared by the pipelines of :meth:`with_options`."""
        return self._frame

    def with_options(self, options: Mapping[str, Any]) -> Self:
        """This pipeline with some options changed; sessions, memory and graphs are shared.

        Use one of the two at a time, and close one of them.

        Raises:
            ParameterError: Any option is unknown or invalid, more than the kernels take, or ``pipeline`` is
                another one.
        """
        other = super().with_options(options)
        self._frame.check_options(other.options)
        return other

    def warm_up(self) -> None:
        """Compile the kernels, let the sessions choose their algorithms, and capture the graphs."""
        points = spread_points(self._config, self._encoder)
        self.infer(PointCloudFrame((Sweep(points), Sweep(points, 0.1, np.eye(4)))))

    def close(self) -> None:
        """Release sessions, graphs and memory. Calling it twice is allowed."""
        self._frame.close()
        super().close()

    def _infer(
        self, sample: PointCloudFrame, clock: StageClock, tap: TensorTap | None
    ) -> tuple[Detections, Mapping[str, int]]:
        done = self._frame.run(sample, self._options)
        counts = done.counts.as_dict()
        start = time.perf_counter_ns()
        detections = self._remapper.remap(done.decoded.detections) if counts["pillars"] else self._empty()
        host_ms = (time.perf_counter_ns() - start) * 1e-6
        for name, milliseconds in done.latencies:
            clock.add(name, milliseconds + (host_ms if name == "nms" else 0.0), "cuda")
        if tap is not None and counts["pillars"]:
            for session, tensors in zip(self.sessions, self._frame.tensors(counts["pillars"]), strict=True):
                tap.record(session.spec.name, *tensors)
        return detections, {**counts, **done.decoded.as_dict()}
