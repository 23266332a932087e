from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "awml_deploy_ros"
# The repository's top-level launch/ and config/ are what a user edits; they install from here.
TOP = Path("..") / ".."


def _tree(folder: str) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for path in sorted((TOP / folder).rglob("*")):
        if path.is_file() and path.suffix in {".py", ".yaml", ".xml", ".rviz", ".json"}:
            target = f"share/{PACKAGE}/{path.parent.relative_to(TOP).as_posix()}"
            found.setdefault(target, []).append(str(path))
    return sorted(found.items())


setup(
    name=PACKAGE,
    version="0.1.0",
    description="ROS 2 nodes that run deployed models on live point clouds and images",
    license="Apache-2.0",
    packages=find_packages(exclude=["test", "test.*"]),
    package_data={PACKAGE: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        ("bin", ["bin/awml-replay"]),
        *_tree("launch"),
        *_tree("config"),
    ],
    zip_safe=False,
    python_requires=">=3.10",
    install_requires=["awml_deploy_core", "filelock>=3.12", "numpy>=1.24", "PyYAML>=6", "rich>=13"],
    extras_require={
        "bags": ["rosbags>=0.11"],
        "ray": ["ray>=2.9"],
        "rerun": ["rerun-sdk>=0.24"],
        "test": ["hypothesis", "pytest<9"],
    },
    entry_points={
        "console_scripts": [
            "centerpoint_node = awml_deploy_ros.programs:centerpoint_node",
            "yolox_node = awml_deploy_ros.programs:yolox_node",
            "calibration_status_node = awml_deploy_ros.programs:calibration_status_node",
            "bag_player = awml_deploy_ros.programs:bag_player",
            "clean_shared_memory = awml_deploy_ros.programs:clean_shared_memory",
            "bag_recorder = awml_deploy_ros.programs:bag_recorder",
            "replay = awml_deploy_ros.programs:replay",
            "rerun_log = awml_deploy_ros.programs:rerun_log",
        ],
    },
)
