"""Deploy configuration of the calibration-status classifier as AWML's older generation writes it."""

task_type = "classification"
export = dict(
    mode="both",
    work_dir="work_dirs/calibration_status",
    checkpoint_path="work_dirs/calibration_status/best.pth",
    onnx_path=None,
)
runtime_io = dict(info_file="info/t4dataset_gen2_base_infos_test.pkl", sample_idx=0)
model_io = dict(
    input_name="input",
    input_shape=None,
    input_dtype="float32",
    output_name="output",
    batch_size=None,
    dynamic_axes={"input": {0: "batch_size", 2: "height", 3: "width"}, "output": {0: "batch_size"}},
)
onnx_config = dict(
    type="onnx",
    opset_version=16,
    do_constant_folding=True,
    save_file="end2end.onnx",
    export_params=True,
    keep_initializers_as_inputs=False,
    simplify=True,
    multi_file=False,
)
backend_config = dict(
    type="tensorrt",
    common_config=dict(precision_policy="fp16", max_workspace_size=1 << 30),
    model_inputs=[
        dict(
            input_shapes=dict(
                input=dict(
                    min_shape=[1, 5, 1080, 1920], opt_shape=[1, 5, 1860, 2880], max_shape=[1, 5, 2160, 3840]
                )
            )
        )
    ],
)
evaluation = dict(enabled=False, num_samples=-1, verbose=True, backends=dict())
verification = dict(
    enabled=True,
    tolerance=1e-2,
    num_verify_samples=1,
    devices=dict(cpu="cpu", cuda="cuda:0"),
    scenarios=dict(
        both=[
            dict(ref_backend="pytorch", ref_device="cpu", test_backend="onnx", test_device="cpu"),
            dict(ref_backend="onnx", ref_device="cpu", test_backend="tensorrt", test_device="cuda"),
        ]
    ),
)
