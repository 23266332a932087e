"""Deploy configuration of YOLOX_opt_elan as AWML's older generation writes it."""

task_type = "detection2d"
checkpoint_path = "work_dirs/yolox/best.pth"
devices = dict(cpu="cpu", cuda="cuda:0")

export = dict(mode="onnx", work_dir="work_dirs/yolox_opt_elan_deployment", onnx_path=None)
runtime_io = dict(ann_file="data/t4dataset/yolox_infos_val.json", img_prefix="", sample_idx=0)
model_io = dict(
    input_name="images",
    input_shape=(3, 960, 960),
    input_dtype="float32",
    output_name="output",
    batch_size=6,
    dynamic_axes=None,
)
onnx_config = dict(
    opset_version=16,
    do_constant_folding=True,
    save_file="yolox_opt_elan.onnx",
    export_params=True,
    keep_initializers_as_inputs=False,
    simplify=True,
    multi_file=False,
    decode_in_inference=True,
)
backend_config = dict(
    common_config=dict(precision_policy="fp32_tf32", max_workspace_size=1 << 30),
)
evaluation = dict(
    enabled=True,
    num_samples=10,
    verbose=False,
    backends=dict(pytorch=dict(enabled=True, device=devices["cuda"], checkpoint=checkpoint_path)),
)
verification = dict(
    enabled=False,
    num_verify_samples=3,
    tolerance=0.1,
    devices=devices,
    scenarios=dict(
        onnx=[dict(ref_backend="pytorch", ref_device="cpu", test_backend="onnx", test_device="cpu")]
    ),
)
