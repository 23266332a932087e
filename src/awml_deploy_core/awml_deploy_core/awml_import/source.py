"""AWML's two generations of deploy configurations seen as one, and what a family makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from awml_deploy_core.awml_import.expressions import Unreadable


@dataclass(frozen=True)
class AwmlComponent:
    """One graph of a model, from either generation."""

    name: str
    onnx_file: str | None = None
    onnx_file_key: str = ""
    """Where the name of the file was found; the same for the keys below."""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    io_keys: tuple[str, ...] = ()
    dynamic_axes: Mapping[str, Any] = field(default_factory=dict)
    input_shape: tuple[int, ...] = ()
    """Channels, height, width where the older generation gives them."""
    batch_size: int | None = None
    profiles: Mapping[str, Mapping[str, Sequence[int]]] = field(default_factory=dict)
    """``min_shape``, ``opt_shape`` and ``max_shape`` by input."""
    profile_key: str = ""

    def ranges(self, tensor: str) -> list[tuple[int, int, int]] | None:
        """Least, usual and largest length of every axis of an input, if it has a usable profile."""
        profile = self.profiles.get(tensor)
        if not isinstance(profile, Mapping):
            return None
        shapes = [profile.get(key) for key in ("min_shape", "opt_shape", "max_shape")]
        if not all(isinstance(shape, list | tuple) for shape in shapes):
            return None
        rows = [list(shape) for shape in shapes if shape is not None]
        if len({len(row) for row in rows}) != 1 or not all(
            isinstance(length, int) and length > 0 for row in rows for length in row
        ):
            return None
        return [(low, usual, high) for low, usual, high in zip(*rows, strict=True)]


@dataclass(frozen=True)
class AwmlSource:
    """What is imported: a deploy configuration and, where given, the model's own."""

    deploy: Mapping[str, Any]
    model: Mapping[str, Any] | None = None

    @property
    def task_type(self) -> str | None:
        """``detection3d``, ``detection2d``, ``classification``, where it is given."""
        value = self.deploy.get("task_type")
        return value if isinstance(value, str) else None

    @property
    def model_type(self) -> str | None:
        """Class of the model in its own configuration, without its scope."""
        value = lookup(self.model or {}, "model.type")
        return value.rpartition(".")[2] if isinstance(value, str) else None

    def components(self) -> dict[str, AwmlComponent]:
        """Components by name; the only one of the older generation is called ``model``."""
        sections = self.deploy.get("components")
        if isinstance(sections, Mapping):
            return {
                name: _newer(name, section)
                for name, section in sections.items()
                if isinstance(name, str) and isinstance(section, Mapping)
            }
        return {"model": _older(self.deploy)}


@dataclass(frozen=True)
class AwmlModel:
    """What a family makes of a source."""

    section: dict[str, Any]
    """The family's own keys of our ``model`` section."""
    used: Mapping[str, str]
    """Our key by AWML's key, or by the start of several; keys of the model's configuration start with
    ``model_config.``. The target of a key that only confirms what the family does anyway is empty."""


@runtime_checkable
class AwmlImporter(Protocol):
    """A model family that knows AWML's configurations of its model; families may do without."""

    def import_awml(self, source: AwmlSource) -> AwmlModel | None:
        """Our ``model`` section, or None if the source is of another model.

        Raises:
            ConfigError: It is of this family, but contradicts what the family exports.
        """
        ...


def lookup(values: Mapping[str, Any], dotted: str) -> Any:
    """A value by its path, None where it is missing or was not read."""
    value: Any = values
    for part in dotted.split("."):
        if isinstance(value, list | tuple) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, Mapping):
            value = value.get(part)
        else:
            return None
    return None if isinstance(value, Unreadable) else value


def _newer(name: str, section: Mapping[str, Any]) -> AwmlComponent:
    prefix = f"components.{name}"
    file = lookup(section, "onnx_file")
    axes, profiles = lookup(section, "io.dynamic_axes"), section.get("tensorrt_profile")
    return AwmlComponent(
        name,
        file if isinstance(file, str) else None,
        f"{prefix}.onnx_file",
        _names(lookup(section, "io.inputs")),
        _names(lookup(section, "io.outputs")),
        (f"{prefix}.io",),
        axes if isinstance(axes, Mapping) else {},
        profiles=profiles if isinstance(profiles, Mapping) else {},
        profile_key=f"{prefix}.tensorrt_profile",
    )


def _older(deploy: Mapping[str, Any]) -> AwmlComponent:
    file = lookup(deploy, "onnx_config.save_file")
    inputs, outputs = lookup(deploy, "onnx_config.input_names"), lookup(deploy, "onnx_config.output_names")
    name_in, name_out = lookup(deploy, "model_io.input_name"), lookup(deploy, "model_io.output_name")
    shape, batch = lookup(deploy, "model_io.input_shape"), lookup(deploy, "model_io.batch_size")
    axes = lookup(deploy, "model_io.dynamic_axes") or lookup(deploy, "onnx_config.dynamic_axes")
    profiles = lookup(deploy, "backend_config.model_inputs.0.input_shapes")
    return AwmlComponent(
        "model",
        file if isinstance(file, str) else None,
        "onnx_config.save_file",
        (name_in,) if isinstance(name_in, str) else _names(inputs),
        (name_out,) if isinstance(name_out, str) else _names(outputs),
        ("model_io", "onnx_config.input_names", "onnx_config.output_names", "onnx_config.dynamic_axes"),
        axes if isinstance(axes, Mapping) else {},
        tuple(shape) if isinstance(shape, list | tuple) and all(isinstance(n, int) for n in shape) else (),
        batch if isinstance(batch, int) else None,
        profiles if isinstance(profiles, Mapping) else {},
        "backend_config.model_inputs",
    )


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        return ()
    names = (item.get("name") if isinstance(item, Mapping) else item for item in value)
    return tuple(name for name in names if isinstance(name, str))
