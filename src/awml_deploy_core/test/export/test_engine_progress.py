from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.export.engine_progress import PhaseTree


def test_nested_phases_share_their_parents_step() -> None:
    tree = PhaseTree()
    tree.start("build", None, 2)
    tree.start("optimise", "build", 4)
    tree.step("optimise", 2)
    assert tree.percent() == 25
    tree.finish("optimise")
    tree.step("build", 1)
    assert tree.percent() == 50
    tree.step("build", 2)
    assert tree.percent() == 99


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.integers(0, 5))))
def test_the_percentage_never_falls(events: list[tuple[str, str, int]]) -> None:
    tree = PhaseTree()
    last = 0
    for name, parent, number in events:
        if number == 0:
            tree.finish(name)
        elif name < parent:
            tree.start(parent, name, number)
        else:
            tree.step(name, number)
        percent = tree.percent()
        assert last <= percent < 100
        last = percent
