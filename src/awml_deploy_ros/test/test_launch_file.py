"""The launch files; need launch and launch_ros, which no package index has."""

import importlib.util
from types import SimpleNamespace

import pytest
import yaml
from harness_paths import REPOSITORY

from awml_deploy_ros.parameters import TABLE

launch = pytest.importorskip("launch")
pytest.importorskip("launch_ros")

from awml_deploy_ros.node_launch import shut_down_once  # noqa: E402 - as late as what it needs

TOPICS = {
    "centerpoint": {"input/pointcloud", "output/objects"},
    "yolox": {"input/image", "output/detections"},
    "calibration_status": {"input/pointcloud", "input/image", "input/camera_info"},
}


def load(name: str):
    file = REPOSITORY / "launch" / f"{name}.launch.py"
    spec = importlib.util.spec_from_file_location(f"{name}_launch", file)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture
def module():
    return load("centerpoint")


@pytest.fixture
def context(module):
    return context_of(module)


def context_of(module):
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

    (node,) = [action for action in module.LAUNCH.start(context) if isinstance(action, LifecycleNode)]
    return node


def parameters(node, context) -> list:
    """What the node is given, in order: a file or values by name."""
    text = launch.utilities.perform_substitutions
    found: list = []
    for entry in node._Node__parameters:
        if isinstance(entry, dict):
            found.append({text(context, name): _plain(value, context) for name, value in entry.items()})
        else:
            found.append(entry)
    return found


def _plain(value, context) -> object:
    is_text = isinstance(value, tuple)
    return yaml.safe_load(launch.utilities.perform_substitutions(context, value)) if is_text else value


def test_every_argument_is_described(module) -> None:
    found = arguments(module)
    assert {spec.name for spec in TABLE if spec.launch_argument} <= set(found)
    assert {"input/pointcloud", "output/objects", "param_file", "namespace", "use_sim_time"} <= set(found)
    assert all(argument.description for argument in found.values())
    assert "onnxruntime" in found["backend"].choices


@pytest.mark.parametrize("name", TOPICS)
def test_every_node_starts_with_its_own_executable_topics_and_file(name: str) -> None:
    module = load(name)
    context = context_of(module)
    context.launch_configurations["model_path"] = "/bundle"
    node = started_node(module, context)
    text = launch.utilities.perform_substitutions
    assert node.node_executable == f"{name}_node"
    assert {text(context, a) for a, _ in node._Node__remappings} == {f"~/{t}" for t in TOPICS[name]}
    file, switches, overrides = parameters(node, context)
    assert str(file.evaluate(context)).endswith(f"config/{name}/node.param.yaml")
    assert (switches, overrides) == ({"autostart": True}, {"model_path": "/bundle"})
    found = arguments(module)
    assert {*TOPICS[name], "param_file", "namespace", "use_sim_time"} <= set(found)
    assert ("shadow.every_n" in found) == (name == "centerpoint")
    assert all(argument.description for argument in found.values())


def test_the_node_takes_itself_to_active(module, context) -> None:
    assert parameters(started_node(module, context), context)[1] == {"autostart": True}
    context.launch_configurations["autostart"] = "false"
    assert parameters(started_node(module, context), context)[1]["autostart"] is False


def test_arguments_reach_the_node(module, context) -> None:
    context.launch_configurations.update({"model_path": "/bundle", "num_threads": "2"})
    (overrides,) = parameters(started_node(module, context), context)[2:]
    assert overrides == {"model_path": "/bundle", "num_threads": 2}


@pytest.mark.parametrize("simulated", [True, False])
def test_simulated_time_is_left_alone_unless_asked_for(module, context, simulated) -> None:
    """A launch file that includes this one may have set it for all nodes."""
    assert "use_sim_time" not in parameters(started_node(module, context), context)[1]
    context.launch_configurations["use_sim_time"] = str(simulated).lower()
    assert parameters(started_node(module, context), context)[1]["use_sim_time"] is simulated


def test_the_parameter_file_may_be_in_the_home_folder(module, context, monkeypatch, tmp_path) -> None:
    (tmp_path / "mine.yaml").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    context.launch_configurations["param_file"] = "~/mine.yaml"
    file = parameters(started_node(module, context), context)[0]
    assert str(file.evaluate(context)) == str(tmp_path / "mine.yaml")


def test_the_end_of_the_node_ends_the_launch_once(module, context) -> None:
    context.extend_locals({"event": SimpleNamespace(returncode=0)})
    assert len(shut_down_once(context)) == 1
    context.extend_locals({"event": SimpleNamespace(returncode=-9)})
    with pytest.raises(RuntimeError, match="exit code -9"):
        shut_down_once(context)
    context._set_is_shutdown(True)
    assert shut_down_once(context) == []


def test_the_users_transport_profile_stands(module, context, monkeypatch) -> None:
    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE", raising=False)
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    assert len(started_node(module, context).additional_env) == 1
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "mine.xml")
    assert not started_node(module, context).additional_env


def test_rviz_shows_the_topics_of_this_node(module, context) -> None:
    assert len(module.LAUNCH.start(context)) == 1
    context.launch_configurations.update({"rviz": "true", "namespace": "front", "name": "detector"})
    _, rviz = module.LAUNCH.start(context)
    text = launch.utilities.perform_substitutions
    remappings = {text(context, a): text(context, b) for a, b in rviz.expanded_remapping_rules or ()}
    remappings = remappings or {text(context, a): text(context, b) for a, b in rviz._Node__remappings}
    assert remappings["/centerpoint/output/markers"] == "/front/detector/output/markers"


@pytest.mark.parametrize(
    ("name", "value"), [("param_file", "/nowhere/node.param.yaml"), ("num_threads", "many")]
)
def test_a_wrong_argument_is_named(module, context, name, value) -> None:
    context.launch_configurations[name] = value
    with pytest.raises(RuntimeError, match=f"^{name}: .*{value}"):
        module.LAUNCH.start(context)
