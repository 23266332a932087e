from setuptools import find_packages, setup

PACKAGE = "awml_deploy_lab"

setup(
    name=PACKAGE,
    version="0.1.0",
    description="LiDAR scene simulator and training recipe of the demo models",
    license="Apache-2.0",
    packages=find_packages(exclude=["test", "test.*"]),
    package_data={PACKAGE: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    zip_safe=False,
    python_requires=">=3.10",
    install_requires=[
        "awml_deploy_core",
        "awml_extractors",
        "numba>=0.59",
        "numpy>=1.24",
        "pydantic>=2.8",
        "rich>=13",
        "torch>=2.5",
    ],
    extras_require={
        "bags": ["rosbags>=0.11"],
        "faults": ["onnx>=1.16", "onnxruntime>=1.17", "pyyaml>=6"],
        "train": ["matplotlib>=3.7"],
        "test": ["hypothesis", "pytest<9"],
    },
)
