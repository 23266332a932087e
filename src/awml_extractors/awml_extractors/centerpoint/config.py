"""Configuration of one CenterPoint variant and the geometry that follows from it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from awml_extractors.bundle_names import OnnxFile
from awml_extractors.centerpoint.options import PostprocessOptions

RawFeature = Literal["x", "y", "z", "intensity", "time_lag"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HeadConvention(_Frozen):
    """How the head's ``dim`` and ``rot`` channels are written.

    mmdet3d heads emit log (length, width, height) and (sin, cos) of the yaw; Autoware expects
    log (width, length, height) and (-cos, -sin), which AWML's export option
    ``rot_y_axis_reference`` writes. Shapes are identical, so the convention must be recorded.
    """

    dim_order: Literal["lwh", "wlh"]
    """`lwh`: length, width, height (mmdet3d); `wlh`: width, length, height (Autoware)."""
    rot_encoding: Literal["sin_cos", "neg_cos_neg_sin"]
    """Channels of the yaw: sin, cos (mmdet3d) or -cos, -sin (Autoware)."""


MMDET3D_CONVENTION = HeadConvention(dim_order="lwh", rot_encoding="sin_cos")
AUTOWARE_CONVENTION = HeadConvention(dim_order="wlh", rot_encoding="neg_cos_neg_sin")

Positive = Annotated[int, Field(gt=0, le=10**15)]
"""A count that the 64 bits of a ROS parameter hold."""
Width = Annotated[int, Field(gt=0, le=4096)]
"""Channels of a layer, far beyond what is trained."""
Depth = Annotated[int, Field(gt=0, le=256)]
"""Layers of a stage, likewise."""
Finite = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
PositiveFloat = Annotated[float, Field(ge=1e-6, le=1e6, allow_inf_nan=False)]

_MAX_CELLS = 2**31
"""Cells of a canvas are counted in 32 bits."""
_MAX_TENSOR_BYTES = 4 * 2**30
"""Size of the largest input of a component that a configuration may ask for."""


class CenterPointConfig(_Frozen):
    """One CenterPoint variant: classes, geometry, network and the convention it exports.

    Defaults are Autoware's ``centerpoint`` base model.
    """

    class_names: tuple[str, ...] = ("CAR", "TRUCK", "BUS", "BICYCLE", "PEDESTRIAN")
    """In the order of the heatmap's channels."""
    point_features: tuple[RawFeature, ...] = ("x", "y", "z", "time_lag")
    """Raw channels of a point, in order; they come first in the decorated features."""
    intensity_scale: PositiveFloat = 1.0
    """Factor from raw intensity (0 to 255) to the channel the network was trained on."""
    point_cloud_range: tuple[Finite, Finite, Finite, Finite, Finite, Finite] = (
        -76.8,
        -76.8,
        -4.0,
        76.8,
        76.8,
        6.0,
    )
    """min x, y, z, max x, y, z [m]; a point is inside if min <= p < max."""
    voxel_size: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.32, 0.32, 10.0)
    """x, y, z [m]; one voxel spans the whole z range."""
    max_voxels: Positive = 40000
    """Most pillars of a frame; more than the canvas has cells has no effect."""
    max_points_per_voxel: Positive = 32
    """Most points of a pillar that the encoder sees; further ones are left out."""
    point_order: Literal["sequential", "interleaved"] = "sequential"
    """Which points of a full pillar come first: those of the first sweep in input order (mmdet3d), or
    some of every sweep in turn, which keeps past sweeps visible in dense pillars. Autoware shuffles at
    random, to the same end.
    """
    center_offset_dims: Literal[2, 3] = 2
    """Whether the offset to the pillar centre has x, y (C = 9) or x, y, z (C = 10, 11)."""
    pfn_channels: tuple[Width, Positive] = (32, 32)
    """Features after each of the two layers; the first must be even, half of it is the maximum."""
    backbone_channels: tuple[Width, Width, Width] = (64, 128, 256)
    """Channels of the convolutions, by stage."""
    backbone_layers: tuple[Depth, Depth, Depth] = (3, 5, 5)
    """Convolutions after the strided one, by stage."""
    backbone_strides: tuple[Positive, Positive, Positive] = (1, 2, 2)
    """Of the first convolution of every stage."""
    neck_channels: tuple[Width, Width, Width] = (128, 128, 128)
    """Channels that every stage is brought to before they are put together."""
    neck_strides: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (1.0, 2.0, 4.0)
    """Upsampling by stage; below 1 is a strided convolution."""
    neck_conv_for_no_stride: bool = True
    """Whether a stage of stride 1 is a 1x1 convolution (AWML) or a transposed one (mmdet3d's default).

    For a stage with as many channels in as out both have the same weight shape, so a checkpoint
    cannot tell which it was trained with.
    """
    head_channels: Width = 64
    """Channels of the shared convolution and of the branches."""
    head_kernel: Literal[1, 3] = 3
    """Kernel of both convolutions of every branch (mmdet3d's ``final_kernel``): AWML's configs use 1."""
    has_variance: bool = False
    """Whether every output but the heatmap has a variance channel beside each value."""
    has_twist: bool = True
    """Whether the velocity output is used; the output exists either way, Autoware binds six."""
    head_convention: HeadConvention = AUTOWARE_CONVENTION
    """What the exported ``pts_backbone_neck_head`` writes."""
    voxel_encoder_onnx: OnnxFile = "pts_voxel_encoder.onnx"
    """File name in a bundle: letters, digits, `_`, `.`, `-`, ending in `.onnx`."""
    backbone_neck_head_onnx: OnnxFile = "pts_backbone_neck_head.onnx"
    """Likewise, another file."""
    postprocess: PostprocessOptions = Field(default=PostprocessOptions(), validate_default=True)
    """Defaults of the run-time options, e.g. the thresholds of an Autoware bundle."""

    @field_validator("postprocess")
    @classmethod
    def _write_out(cls, options: PostprocessOptions, info: ValidationInfo) -> PostprocessOptions:
        """So that a bundle keeps its class remapper, whatever the default becomes."""
        names: tuple[str, ...] | None = info.data.get("class_names")
        return options if names is None else options.for_classes(names)

    @model_validator(mode="after")
    def _check(self) -> CenterPointConfig:
        problems = []
        names = {name.upper() for name in self.class_names}
        if not names or len(names) != len(self.class_names):
            problems.append(
                f"class_names must be non-empty and unique, whatever their case, got {self.class_names}"
            )
        problems += [
            f"postprocess.{problem}" for problem in self.postprocess.unknown_classes(self.class_names)
        ]
        if self.voxel_encoder_onnx.lower() == self.backbone_neck_head_onnx.lower():
            problems.append(
                f"backbone_neck_head_onnx: {self.backbone_neck_head_onnx} is also the encoder's"
            )
        if self.pfn_channels[0] % 2:
            problems.append(f"pfn_channels: {self.pfn_channels[0]} of the first layer must be even")
        if tuple(self.point_features[:3]) != ("x", "y", "z") or len(set(self.point_features)) != len(
            self.point_features
        ):
            problems.append(
                f"point_features must start with x, y, z and not repeat, got {self.point_features}"
            )
        low, high = self.point_cloud_range[:3], self.point_cloud_range[3:]
        for axis, a, b, size in zip("xyz", low, high, self.voxel_size, strict=True):
            if not a < b:
                problems.append(f"point_cloud_range: min {axis} {a} is not below max {axis} {b}")
            elif not 0 < size <= b - a + 1e-6:
                problems.append(f"voxel_size: {axis} {size} must be in (0, {b - a:g}]")
            elif abs((b - a) / size - round((b - a) / size)) > 1e-3:
                problems.append(
                    f"point_cloud_range: {axis} extent {b - a:g} is not a multiple of voxel size {size}"
                )
            elif axis == "z" and round((b - a) / size) != 1:
                problems.append(f"voxel_size: z {size} must span the range {b - a:g} (one pillar)")
        problems += [
            f"neck_strides: {stride} is neither a whole number nor the inverse of one"
            for stride in self.neck_strides
            if abs(max(stride, 1 / stride) - round(max(stride, 1 / stride))) > 1e-6
        ]
        factors = {
            round(stride * product, 6)
            for stride, product in zip(self._inverse_neck(), self._stage_strides(), strict=True)
        }
        if len(factors) != 1:
            problems.append(
                f"neck_strides {self.neck_strides} bring the stages {self.backbone_strides} "
                "to different sizes"
            )
        elif min(factors) < 1 - 1e-6:
            problems.append(f"neck_strides {self.neck_strides} make the output finer than the canvas")
        elif not problems and any(n % max(self._stage_strides()) for n in self.grid_size):
            problems.append(
                f"grid {self.grid_size} is not a multiple of the total stride {max(self._stage_strides())}"
            )
        problems += self._size_problems() if not problems else []
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _size_problems(self) -> list[str]:
        nx, ny = self.grid_size
        if nx * ny >= _MAX_CELLS:
            return [f"voxel_size: makes a grid of {nx} x {ny} cells, more than {_MAX_CELLS}"]
        sizes = {
            "max_voxels": self.voxel_capacity * self.max_points_per_voxel * self.num_encoder_features,
            "pfn_channels": self.num_pillar_features * nx * ny,
        }
        names = {"max_voxels": "the encoder's input", "pfn_channels": "the canvas"}
        return [
            f"{key}: {names[key]} would take {4 * size / 2**30:.0f} GiB, more than "
            f"{_MAX_TENSOR_BYTES / 2**30:.0f} GiB"
            for key, size in sizes.items()
            if 4 * size > _MAX_TENSOR_BYTES
        ]

    def _stage_strides(self) -> tuple[int, int, int]:
        a, b, c = self.backbone_strides
        return a, a * b, a * b * c

    def _inverse_neck(self) -> tuple[float, float, float]:
        a, b, c = self.neck_strides
        return 1 / a, 1 / b, 1 / c

    @property
    def grid_size(self) -> tuple[int, int]:
        """Cells nx, ny of the canvas."""
        r, v = self.point_cloud_range, self.voxel_size
        return round((r[3] - r[0]) / v[0]), round((r[4] - r[1]) / v[1])

    @property
    def voxel_capacity(self) -> int:
        """Pillars that a frame can have."""
        nx, ny = self.grid_size
        return min(self.max_voxels, nx * ny)

    @property
    def out_size_factor(self) -> int:
        """Canvas cells per output cell along one axis."""
        return round(self._stage_strides()[0] / self.neck_strides[0])

    @property
    def output_size(self) -> tuple[int, int]:
        """Cells w, h of the head's output maps."""
        nx, ny = self.grid_size
        return nx // self.out_size_factor, ny // self.out_size_factor

    @property
    def num_raw_features(self) -> int:
        return len(self.point_features)

    @property
    def num_encoder_features(self) -> int:
        """Channels C of a decorated point: raw, offset to the mean, offset to the centre."""
        return self.num_raw_features + 3 + self.center_offset_dims

    @property
    def num_pillar_features(self) -> int:
        return self.pfn_channels[-1]

    @property
    def head_outputs(self) -> dict[str, int]:
        """Channels by output, in the order that is part of the exchange format."""
        factor = 2 if self.has_variance else 1
        return {
            "heatmap": len(self.class_names),
            "reg": 2 * factor,
            "height": 1 * factor,
            "dim": 3 * factor,
            "rot": 2 * factor,
            "vel": 2 * factor,
        }
