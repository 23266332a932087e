from setuptools import find_packages, setup

PACKAGE = "awml_extractors"

setup(
    name=PACKAGE,
    version="0.1.0",
    description="Model families for awml_deploy_core",
    license="Apache-2.0",
    packages=find_packages(exclude=["test", "test.*"]),
    package_data={PACKAGE: ["py.typed", "device/kernels/*.cuh", "*/device/kernels/*.cu*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    zip_safe=False,
    python_requires=">=3.10",
    install_requires=[
        "awml_deploy_core",
        "numba>=0.59",
        "numpy>=1.24",
        "pydantic>=2.8",
        "PyYAML>=6",
        "typing_extensions>=4.5",
    ],
    extras_require={
        # The frame on the GPU.
        "cuda": ["awml_deploy_core[cuda]"],
        "bags": ["rosbags>=0.11"],
        "images": ["pillow>=9.1"],
        "train": ["torch>=2.5"],
        "test": ["hypothesis", "pytest<9"],
    },
    entry_points={
        "awml_deploy.models": [
            "calibration_status = awml_extractors.calibration_status.family:CalibrationStatusFamily",
            "centerpoint = awml_extractors.centerpoint.family:CenterPointFamily",
            "yolox = awml_extractors.yolox.family:YoloxFamily",
        ],
    },
)
