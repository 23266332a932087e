"""What AWML's model configurations of CenterPoint build on."""

out_size_factor = 1
model = dict(
    type="CenterPoint",
    data_preprocessor=dict(
        type="Det3DDataPreprocessor",
        voxel_layer=dict(max_num_points=20, voxel_size=[0.2, 0.2, 8], max_voxels=(32000, 60000)),
    ),
    pts_voxel_encoder=dict(type="PillarFeatureNet", in_channels=4, feat_channels=[64]),
    pts_backbone=dict(
        type="SECOND", out_channels=[64, 128, 256], layer_nums=[3, 5, 5], layer_strides=[2, 2, 2]
    ),
    pts_neck=dict(
        type="SECONDFPN",
        out_channels=[128, 128, 128],
        upsample_strides=[0.5, 1, 2],
        use_conv_for_no_stride=True,
    ),
    pts_bbox_head=dict(
        type="CenterHead",
        in_channels=sum([128, 128, 128]),
        bbox_coder=dict(max_num=500, score_threshold=0.1, out_size_factor=out_size_factor),
        share_conv_channel=64,
        separate_head=dict(type="SeparateHead", final_kernel=1),
    ),
    test_cfg=dict(pts=dict(min_radius=[1.0], post_max_size=100)),
)
class_names = ["car", "truck", "bus", "bicycle", "pedestrian"]
