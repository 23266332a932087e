"""Model configuration of YOLOX_opt_elan in mmdet's style."""

IMG_SCALE = (960, 960)
activation = "ReLU6"

model = dict(
    type="YOLOX",
    backbone=dict(
        type="ELANDarknet",
        deepen_factor=2,
        widen_factor=1,
        out_indices=(2, 3, 4),
        act_cfg=dict(type=activation),
    ),
    neck=dict(type="YOLOXPAFPN_ELAN", in_channels=[128, 256, 512], out_channels=128, num_elan_blocks=2),
    bbox_head=dict(type="YOLOXHead", num_classes=8, in_channels=128, feat_channels=128),
    test_cfg=dict(score_thr=0.01, nms=dict(type="nms", iou_threshold=0.65)),
)
