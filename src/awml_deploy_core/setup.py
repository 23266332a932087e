from setuptools import find_packages, setup

PACKAGE = "awml_deploy_core"

setup(
    name=PACKAGE,
    version="0.1.0",
    description="Model-agnostic deployment of trained detectors",
    license="Apache-2.0",
    packages=find_packages(exclude=["test", "test.*"]),
    package_data={PACKAGE: ["py.typed", "runtime/cuda/*.cu"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    zip_safe=False,
    python_requires=">=3.10",
    install_requires=[
        "filelock>=3.12",
        "numpy>=1.24",
        "pydantic>=2.8",
        "PyYAML>=6",
        "rich>=13",
        "typing_extensions>=4.5",
    ],
    extras_require={
        "onnxruntime": ["onnxruntime>=1.17"],
        "export": ["onnx>=1.16", "onnxscript>=0.3", "onnxslim>=0.1.40", "torch>=2.5"],
        # Memory of the GPU, and kernels; needs NVIDIA's driver.
        "cuda": ["cuda-bindings>=12", "nvidia-cuda-nvrtc>=13"],
        # TensorRT itself comes from NVIDIA, or as the tensorrt-rtx-cu13 wheels.
        "tensorrt": ["cuda-bindings>=12", "onnx>=1.16", "onnxruntime>=1.17"],
        "pictures": ["matplotlib>=3.7"],
        # Average precision of boxes in images.
        "coco": ["pycocotools>=2.0.8"],
        "test": ["hypothesis", "pytest<9"],
    },
    entry_points={
        "console_scripts": ["awml-deploy = awml_deploy_core.cli.main:main"],
        "awml_deploy.backends": [
            "pytorch = awml_deploy_core.runtime.pytorch_backend:PytorchBackend",
            "onnxruntime = awml_deploy_core.runtime.onnxruntime_backend:OnnxRuntimeBackend",
            "tensorrt = awml_deploy_core.runtime.tensorrt_backend:TensorRTBackend",
        ],
    },
)
