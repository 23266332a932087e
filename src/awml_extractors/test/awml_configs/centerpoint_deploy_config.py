"""Deploy configuration of CenterPoint as AWML's newer generation writes it (J6Gen2)."""

checkpoint_path = "work_dirs/centerpoint/best.pth"
deploy_log_path = "deployment.log"
devices = dict(cpu="cpu", cuda="cuda:0")

_OUTPUT = "work_dirs/centerpoint_deployment/"
_ROOT = _OUTPUT.rstrip("/")
_ONNX = f"{_ROOT}/onnx"

export = dict(mode="both", work_dir=_OUTPUT, onnx_path=_ONNX)

components = dict(
    pts_voxel_encoder=dict(
        onnx_file="pts_voxel_encoder.onnx",
        engine_file="pts_voxel_encoder.engine",
        io=dict(
            inputs=[dict(name="input_features", dtype="float32")],
            outputs=[dict(name="pillar_features", dtype="float32")],
            dynamic_axes={"input_features": {0: "num_voxels"}, "pillar_features": {0: "num_voxels"}},
        ),
        tensorrt_profile=dict(
            input_features=dict(
                min_shape=[1000, 32, 11], opt_shape=[20000, 32, 11], max_shape=[96000, 32, 11]
            )
        ),
    ),
    pts_backbone_neck_head=dict(
        onnx_file="pts_backbone_neck_head.onnx",
        engine_file="pts_backbone_neck_head.engine",
        io=dict(
            inputs=[dict(name="spatial_features", dtype="float32")],
            outputs=[
                dict(name="heatmap", dtype="float32"),
                dict(name="reg", dtype="float32"),
                dict(name="height", dtype="float32"),
                dict(name="dim", dtype="float32"),
                dict(name="rot", dtype="float32"),
                dict(name="vel", dtype="float32"),
            ],
            dynamic_axes={"spatial_features": {0: "batch_size", 2: "height", 3: "width"}},
        ),
        tensorrt_profile=dict(
            spatial_features=dict(
                min_shape=[1, 32, 1020, 1020], opt_shape=[1, 32, 1020, 1020], max_shape=[1, 32, 1020, 1020]
            )
        ),
    ),
)

runtime_io = dict(info_file="info/t4dataset_infos_test.pkl", sample_idx=5)
onnx_config = dict(
    opset_version=16,
    do_constant_folding=True,
    export_params=True,
    keep_initializers_as_inputs=False,
    simplify=False,
)
tensorrt_config = dict(precision_policy="auto", max_workspace_size=2 << 30)

evaluation = dict(
    enabled=True,
    num_samples=-1,
    verbose=True,
    backends=dict(
        pytorch=dict(enabled=True, device=devices["cuda"]),
        onnx=dict(enabled=True, device=devices["cuda"], model_dir=_ONNX),
        tensorrt=dict(enabled=True, device=devices["cuda"], engine_dir=f"{_ROOT}/tensorrt"),
    ),
)

verification = dict(
    enabled=True,
    tolerance=1,
    num_verify_samples=3,
    devices=devices,
    scenarios=dict(
        both=[
            dict(ref_backend="pytorch", ref_device="cpu", test_backend="onnx", test_device="cpu"),
            dict(ref_backend="onnx", ref_device="cuda", test_backend="tensorrt", test_device="cuda"),
        ],
        onnx=[dict(ref_backend="pytorch", ref_device="cpu", test_backend="onnx", test_device="cpu")],
        trt=[dict(ref_backend="onnx", ref_device="cuda", test_backend="tensorrt", test_device="cuda")],
        none=[],
    ),
)
