"""The launch file of replay; needs launch and launch_ros, which no package index has."""

import importlib.util
from types import SimpleNamespace

import pytest
from harness_paths import REPOSITORY

from awml_deploy_ros.replay.cli import build_parser

launch = pytest.importorskip("launch")
pytest.importorskip("launch_ros")

FILE = REPOSITORY / "launch/replay_verification.launch.py"


@pytest.fixture
def module():
    spec = importlib.util.spec_from_file_location("replay_verification_launch", FILE)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture
def context(module):
    found = launch.LaunchContext()
    found.launch_configurations.update({"bag": "/bag", "model_path": "/bundle"})
    for entity in module.generate_launch_description().entities:
        if isinstance(entity, launch.actions.DeclareLaunchArgument):
            entity.execute(found)
    return found


def command_line(module, context) -> list[str]:
    def value(name: str) -> str:
        return launch.substitutions.LaunchConfiguration(name).perform(context)

    return module._command_line(value)


def test_every_argument_is_described(module) -> None:
    found = [
        entity
        for entity in module.generate_launch_description().entities
        if isinstance(entity, launch.actions.DeclareLaunchArgument)
    ]
    assert all(argument.description for argument in found)
    assert {"bag", "model_path"} == {a.name for a in found if a.default_value is None}


def test_replay_is_given_what_the_launch_was(module, context) -> None:
    context.launch_configurations.update(
        {
            "reference": "pytorch:cpu",
            "ground_truth": "/x y.pkl",
            "more": "--floor 'mean_ap=0.5' --pictures 2",
        }
    )
    chosen = build_parser().parse_args(command_line(module, context))
    assert (chosen.mode, chosen.attach, chosen.input_topic) == ("live", "/centerpoint", module.CLOUDS)
    assert [str(bag) for bag in chosen.bags] == ["/bag"]
    assert (chosen.reference, str(chosen.ground_truth)) == ("pytorch:cpu", "/x y.pkl")
    assert (chosen.floor, chosen.pictures) == (["mean_ap=0.5"], 2)
    assert chosen.baseline is None


def test_the_node_and_its_judge_are_started(module, context) -> None:
    node, judge = module._start(context)
    given = dict(node.launch_arguments)
    assert given["input/pointcloud"] == module.CLOUDS
    assert given["model_path"] == "/bundle"
    assert judge.node_executable == "replay"


def test_the_verdict_ends_the_launch(module, context) -> None:
    context.extend_locals({"event": SimpleNamespace(returncode=0)})
    assert len(module._end(context)) == 1
    context.extend_locals({"event": SimpleNamespace(returncode=1)})
    with pytest.raises(RuntimeError, match="exit code 1"):
        module._end(context)
    context._set_is_shutdown(True)
    assert module._end(context) == []
