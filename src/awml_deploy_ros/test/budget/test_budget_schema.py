"""The budget file."""

from pathlib import Path

import pytest
from harness_paths import REPOSITORY

from awml_deploy_core.errors import ConfigError
from awml_deploy_ros.budget import read_budget


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "budget.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_budget_limits_totals_and_stages() -> None:
    limits = read_budget(REPOSITORY / "config/centerpoint/latency_budget.yaml").limits()
    assert {"end_to_end", "cyclic_time", "decode", "backbone_head"} <= set(limits)
    assert all(limit.max_acceptable_consecutive_delay_ms == 1000.0 for limit in limits.values())


def test_a_limit_may_have_a_delay_of_its_own(tmp_path: Path) -> None:
    text = "stages:\n  nms: {max_allowed_processing_time_ms: 2, max_acceptable_consecutive_delay_ms: 50}\n"
    limit = read_budget(written(tmp_path, text)).limits()["nms"]
    assert (limit.max_allowed_processing_time_ms, limit.max_acceptable_consecutive_delay_ms) == (2.0, 50.0)


def test_every_problem_is_named_with_its_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "end_to_end: {max_allowed_processing_time_ms: -1}\n"
        "stages:\n  nms: {max_allowed: 3}\nend2end: 5\ncyclic_time: 5\n",
    )
    with pytest.raises(ConfigError) as caught:
        read_budget(path)
    text = "\n".join(caught.value.problems)
    assert "line 1: end_to_end.max_allowed_processing_time_ms" in text
    assert "line 3: stages.nms.max_allowed: unknown key" in text
    assert "line 4: end2end: unknown key" in text
    assert "line 5: cyclic_time: is not a section" in text


@pytest.mark.parametrize(
    "text", ["", "max_acceptable_consecutive_delay_ms: 5\n", "stages: {}\n", "- 1\n", "a: [\n"]
)
def test_a_file_that_limits_nothing_is_no_budget(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        read_budget(written(tmp_path, text))


def test_a_total_is_no_stage(tmp_path: Path) -> None:
    text = "stages:\n  end_to_end: {max_allowed_processing_time_ms: 1}\n"
    with pytest.raises(ConfigError, match="is a total, not a stage"):
        read_budget(written(tmp_path, text))
