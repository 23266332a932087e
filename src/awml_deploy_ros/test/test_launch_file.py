"""The launch file; needs launch and launch_ros, which no package index has."""

import importlib.util

import pytest
from harness_paths import REPOSITORY

from awml_deploy_ros.parameters import TABLE

launch = pytest.importorskip("launch")
pytest.importorskip("launch_ros")

FILE = REPOSITORY / "launch/centerpoint.launch.py"


@pytest.fixture
def module():
    spec = importlib.util.spec_from_file_location("centerpoint_launch", FILE)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture
def context(module):
    found = launch.LaunchContext()
    for entity in module.generate_launch_description().entities:
        if isinstance(entity, launch.actions.DeclareLaunchArgument):
            entity.execute(found)
    return found


def arguments(module) -> dict:
    entities = module.generate_launch_description().entities
    return {e.name: e for e in entities if isinstance(e, launch.actions.DeclareLaunchArgument)}


def started_node(module, context):
    from launch_ros.actions import LifecycleNode

    (node,) = [action for action in module._start(context) if isinstance(action, LifecycleNode)]
    return node


def test_every_argument_is_described(module) -> None:
    found = arguments(module)
    assert {spec.name for spec in TABLE if spec.launch_argument} <= set(found)
    assert {"input/pointcloud", "output/objects", "param_file", "namespace", "use_sim_time"} <= set(found)
    assert all(argument.description for argument in found.values())
    assert "onnxruntime" in found["backend"].choices


def test_the_node_is_taken_to_active(module, context) -> None:
    handlers = launch.actions.RegisterEventHandler
    assert len([a for a in module._start(context) if isinstance(a, handlers)]) == 3
    context.launch_configurations["autostart"] = "false"
    assert [a for a in module._start(context) if isinstance(a, handlers)] == []


def test_arguments_reach_the_node(module, context) -> None:
    context.launch_configurations.update(
        {"name": "front", "model_path": "/bundle", "num_threads": "2", "input/pointcloud": "/points"}
    )
    node = started_node(module, context)
    names = {
        str(launch.utilities.perform_substitutions(context, part)): value
        for part, value in _overrides(node)
    }
    assert set(names) == {"model_path", "num_threads"}


def _overrides(node) -> list:
    return list(node._Node__parameters[-1].items())


def test_the_users_transport_profile_stands(module, context, monkeypatch) -> None:
    sets = launch.actions.SetEnvironmentVariable
    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE", raising=False)
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    assert len([a for a in module._start(context) if isinstance(a, sets)]) == 1
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "mine.xml")
    assert [a for a in module._start(context) if isinstance(a, sets)] == []
