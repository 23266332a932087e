"""RViz configuration and Foxglove layout show topics that exist."""

import json
import re
from typing import Any

import yaml
from harness_paths import REPOSITORY

from awml_deploy_ros.topics import TOPICS

CONFIG = REPOSITORY / "config" / "centerpoint"
KNOWN = {topic.of("/centerpoint") for topic in TOPICS} | {"/points"}


def strings(tree: Any) -> list[str]:
    if isinstance(tree, dict):
        return [text for key, value in tree.items() for text in (str(key), *strings(value))]
    if isinstance(tree, list):
        return [text for value in tree for text in strings(value)]
    return [tree] if isinstance(tree, str) else []


def topics_in(tree: Any) -> set[str]:
    return {match[0] for text in strings(tree) if (match := re.match(r"/[a-z0-9_/]+", text))}


def test_rviz_shows_what_is_published() -> None:
    document = yaml.safe_load((CONFIG / "centerpoint.rviz").read_text())
    assert topics_in(document) == {"/points", "/centerpoint/output/markers"}


def test_foxglove_shows_what_is_published() -> None:
    document = json.loads((CONFIG / "foxglove_layout.json").read_text())
    assert {"/points", "/diagnostics", "/centerpoint/output/frame"} <= topics_in(document) <= KNOWN
    panels = set(document["configById"])
    assert panels == {text for text in strings(document["layout"]) if "!" in text}


def test_the_fields_that_foxglove_plots_exist() -> None:
    text = (CONFIG / "foxglove_layout.json").read_text()
    messages = REPOSITORY / "src/awml_deploy_msgs/msg"
    for topic, message in (("frame", "DetectionFrame"), ("shadow", "ShadowResult")):
        fields = set(re.findall(rf"/output/{topic}\.(\w+)", text))
        declared = (messages / f"{message}.msg").read_text()
        assert fields
        assert [name for name in fields if not re.search(rf"^\S+ {name}\b", declared, re.M)] == []
