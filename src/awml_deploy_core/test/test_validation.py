from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from awml_deploy_core.validation import known_keys, problem_clauses, suggest


@dataclass(frozen=True)
class Axis:
    name: str
    size: int = 1


class Limits(BaseModel):
    model_config = ConfigDict(extra="forbid")

    low: float = 0.0
    high: float = 1.0

    @model_validator(mode="after")
    def _check(self) -> Limits:
        if self.low > self.high:
            raise ValueError("low is above high; high is below low")
        return self


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    axes: tuple[Axis, ...] = ()
    limits: dict[str, Limits] = {}
    main: Limits | None = None


def clauses(raw: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(raw)
    return problem_clauses(caught.value, Settings)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"titel": 1}, ["titel: unknown key (did you mean title?)"]),
        ({"zzz": 1}, ["zzz: unknown key (known: axes, limits, main, title)"]),
        ({"main": {"hihg": 2}}, ["main.hihg: unknown key (did you mean high?)"]),
        ({"limits": {"car": {"lwo": 2}}}, ["limits.car.lwo: unknown key (did you mean low?)"]),
        ({"axes": [{"name": "x", "sise": 2}]}, ["axes.0.sise: unknown key (did you mean size?)"]),
        ({"axes": [{}]}, ["axes.0.name: is required"]),
        ({"main": {"low": 2}}, ["main: low is above high", "main: high is below low"]),
        ({"title": None}, ["title: input should be a valid string, got nothing"]),
        (
            {"main": {"low": "a", "high": []}},
            [
                "main.low: input should be a valid number, unable to parse string as a number, got 'a'",
                "main.high: input should be a valid number",
            ],
        ),
    ],
)
def test_every_problem_is_one_clause_with_its_key(changes: dict[str, Any], expected: list[str]) -> None:
    assert clauses({"title": "a", **changes}) == expected


def test_a_required_key_is_named() -> None:
    assert clauses({}) == ["title: is required"]


def test_a_problem_of_the_whole_has_no_key() -> None:
    (clause,) = clauses([])
    assert clause == "is not a section of key: value"
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate_json(b"{" + b" " * 10_000)
    (clause,) = problem_clauses(caught.value, Settings)
    assert clause.startswith("invalid JSON")
    assert len(clause) < 200


def test_long_values_are_not_shown() -> None:
    (clause,) = clauses({"title": "a", "main": {"low": "x" * 100}})
    assert "got" not in clause


def test_keys_are_those_of_the_section() -> None:
    assert known_keys(Settings, ()) == ("title", "axes", "limits", "main")
    assert known_keys(Settings, ("axes", 3)) == ("name", "size")
    assert known_keys(Settings, ("limits", "car")) == ("low", "high")


def test_nothing_known_suggests_nothing() -> None:
    assert suggest("word", []) == ""
