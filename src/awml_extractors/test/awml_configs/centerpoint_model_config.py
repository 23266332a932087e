"""Model configuration of CenterPoint in mmdet3d's style (J6Gen2)."""

import os

_base_ = ["./centerpoint_base.py"]

point_cloud_range = [-122.4, -122.4, -3.0, 122.4, 122.4, 5.0]
voxel_size = [0.24, 0.24, 8.0]
grid_size = [1020, 1020, 1]
out_size_factor = 2
data_root = "data/t4dataset/"
log_dir = os.environ.get("LOG_DIR", "logs")

model = dict(
    data_preprocessor=dict(
        voxel_layer=dict(
            max_num_points=32,
            voxel_size=voxel_size,
            point_cloud_range=point_cloud_range,
            max_voxels=(64000, 96000),
            deterministic=True,
        )
    ),
    pts_voxel_encoder=dict(
        type="PillarFeatureNet",
        in_channels=5,
        feat_channels=[32, 32],
        voxel_size=voxel_size,
        point_cloud_range=point_cloud_range,
    ),
    pts_middle_encoder=dict(in_channels=32, output_shape=(grid_size[0], grid_size[1])),
    pts_backbone=dict(in_channels=32, layer_strides=[1, 2, 2]),
    pts_bbox_head=dict(
        tasks=[dict(num_class=5, class_names={{_base_.class_names}})],
        bbox_coder=dict(voxel_size=voxel_size, out_size_factor=out_size_factor),
    ),
)
