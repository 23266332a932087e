import pytest

from awml_deploy_core import family, packages
from awml_deploy_core.errors import ConfigError, MissingDependencyError


class FakePoint:
    def __init__(self, name: str) -> None:
        self.name = name

    def load(self) -> type:
        return dict


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        packages, "entry_points", lambda group: [FakePoint("pillars"), FakePoint("cameras")]
    )


@pytest.mark.usefixtures("installed")
def test_families_are_found_by_entry_point() -> None:
    assert family.available_families() == ("cameras", "pillars")
    assert isinstance(family.load_family("pillars"), dict)


@pytest.mark.usefixtures("installed")
def test_an_unknown_family_lists_the_installed_ones() -> None:
    with pytest.raises(ConfigError, match="got 'pilars'; expected cameras or pillars"):
        family.load_family("pilars")


def test_without_any_family_the_error_still_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "entry_points", lambda group: [])
    with pytest.raises(ConfigError, match=r"entry-point group awml_deploy\.models"):
        family.load_family("pillars")


def test_a_plugin_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class BrokenPoint(FakePoint):
        value = "broken_package.family:Broken"

        def load(self) -> type:
            raise ImportError("No module named 'numba'")

    monkeypatch.setattr(packages, "entry_points", lambda group: [BrokenPoint("pillars")])
    with pytest.raises(MissingDependencyError, match=r"numba.*\. Reinstall .* broken_package"):
        family.load_family("pillars")
