"""The two components of CenterPoint and their tensors (AWML's and Autoware's names)."""

from __future__ import annotations

from awml_deploy_core.components import ComponentSpec, DynamicAxis, TensorSpec
from awml_extractors.centerpoint.config import CenterPointConfig

VOXEL_ENCODER = "pts_voxel_encoder"
BACKBONE_NECK_HEAD = "pts_backbone_neck_head"


def component_specs(config: CenterPointConfig) -> tuple[ComponentSpec, ComponentSpec]:
    """Specs of ``pts_voxel_encoder`` and ``pts_backbone_neck_head`` of a variant.

    ``input_features [num_voxels, max_points, C]`` -> ``pillar_features [num_voxels, 1, F]`` and
    ``spatial_features [1, F, ny, nx]`` -> heatmap, reg, height, dim, rot, vel ``[1, c, h, w]``.
    """
    nx, ny = config.grid_size
    w, h = config.output_size
    capacity = config.voxel_capacity
    voxels = DynamicAxis("num_voxels", 1, max(1, capacity // 2), capacity)
    encoder = ComponentSpec(
        VOXEL_ENCODER,
        config.voxel_encoder_onnx,
        (TensorSpec("input_features", (voxels, config.max_points_per_voxel, config.num_encoder_features)),),
        (TensorSpec("pillar_features", (voxels, 1, config.num_pillar_features)),),
    )
    head = ComponentSpec(
        BACKBONE_NECK_HEAD,
        config.backbone_neck_head_onnx,
        (TensorSpec("spatial_features", (1, config.num_pillar_features, ny, nx)),),
        tuple(TensorSpec(name, (1, channels, h, w)) for name, channels in config.head_outputs.items()),
    )
    return encoder, head
