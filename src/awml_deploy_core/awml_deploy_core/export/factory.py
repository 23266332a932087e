"""Makes exporters by target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from awml_deploy_core.errors import ConfigError
from awml_deploy_core.export.exporter import Exporter
from awml_deploy_core.export.onnx_exporter import OnnxExporter
from awml_deploy_core.export.options import OnnxExportOptions
from awml_deploy_core.export.tensorrt_exporter import TensorRTExporter


class ExporterFactory:
    """Maps a target, such as ``onnx``, to a fresh exporter; nothing is cached."""

    def __init__(self, makers: Mapping[str, Callable[[], Exporter[Any]]]) -> None:
        self._makers = dict(makers)

    @classmethod
    def from_options(
        cls,
        *,
        onnx: OnnxExportOptions | None = None,
        tensorrt: Callable[[], TensorRTExporter] = TensorRTExporter,
    ) -> ExporterFactory:
        """A factory of this package's exporters with these options."""
        return cls({"onnx": lambda: OnnxExporter(onnx), "tensorrt": tensorrt})

    @property
    def targets(self) -> tuple[str, ...]:
        """What :meth:`create` can make."""
        return tuple(sorted(self._makers))

    def create(self, target: str) -> Exporter[Any]:
        """A new exporter.

        Raises:
            ConfigError: Nothing exports to ``target``.
        """
        maker = self._makers.get(target)
        if maker is None:
            raise ConfigError(
                "export target",
                "unknown exporter",
                got=repr(target),
                expected=" or ".join(self.targets) or "a registered exporter",
            )
        return maker()
