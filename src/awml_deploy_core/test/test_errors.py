import pytest

from awml_deploy_core import errors
from awml_deploy_core.errors import AwmlDeployError, ConfigError

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, AwmlDeployError) and kind is not AwmlDeployError
]


def test_message_has_every_part_in_order() -> None:
    error = ConfigError("model.voxels", "is too large", got=5, expected="<= 4", hint="Lower it.")
    assert str(error) == "model.voxels: is too large; got 5; expected <= 4. Lower it."


def test_problems_are_listed_before_the_hint() -> None:
    error = ConfigError("deploy.yaml", "is invalid", problems=["a is missing", "b is 3"], hint="See docs.")
    assert str(error).splitlines() == [
        "deploy.yaml: is invalid",
        "  - a is missing",
        "  - b is 3",
        "See docs.",
    ]
    assert error.problems == ("a is missing", "b is 3")


def test_absent_parts_leave_no_trace() -> None:
    assert str(ConfigError("x", "is wrong")) == "x: is wrong"


def test_falsy_got_is_shown() -> None:
    assert "got 0" in str(ConfigError("x", "is wrong", got=0))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_caught_by_the_base(kind: type[AwmlDeployError]) -> None:
    with pytest.raises(AwmlDeployError) as caught:
        raise kind("subject", "problem")
    assert caught.value.subject == "subject"
    assert kind.__doc__


def test_subject_is_text_even_for_objects() -> None:
    assert ConfigError(("a", 1), "is wrong").subject == "('a', 1)"
