"""Order and time of what is played."""

from dataclasses import dataclass
from itertools import islice

from awml_deploy_ros.bag_clouds import RecordedMessage
from awml_deploy_ros.playback_schedule import scheduled


@dataclass
class FakeSource:
    """Messages as name and time of reception."""

    messages: tuple[tuple[str, int], ...]
    name: str = "cloud"

    def recorded(self, companions=()):
        wanted = {self.name, *companions}
        return (RecordedMessage(n, t, n.encode()) for n, t in self.messages if n in wanted)


def plan(messages, loops=1, companions=("tf",), first=99):
    found = scheduled(FakeSource(messages), loops, companions)
    return [(message.topic, message.due) for message in islice(found, first)]


def test_what_was_received_between_two_clouds_is_played_between_them() -> None:
    messages = (
        ("tf", 5),
        ("cloud", 100),
        ("tf", 125),
        ("tf", 150),
        ("cloud", 200),
        ("tf", 250),
        ("cloud", 600),
    )
    assert plan(messages) == [
        ("tf", 0.0),
        ("cloud", 0),
        ("tf", 0.25),
        ("tf", 0.5),
        ("cloud", 1),
        ("tf", 1.125),
        ("cloud", 2),
    ]


def test_every_loop_plays_all_of_it() -> None:
    messages = (("tf", 0), ("cloud", 10), ("tf", 20))
    once = [("tf", 0.0), ("cloud", 0), ("tf", 0)]
    assert plan(messages) == once
    assert plan(messages, 2) == [*once, ("tf", 1.0), ("cloud", 1), ("tf", 1)]
    assert len(plan(messages, 0, first=30)) == 30


def test_clouds_alone_are_one_period_apart() -> None:
    messages = (("tf", 0), ("cloud", 10), ("cloud", 10), ("cloud", 95))
    assert plan(messages, companions=()) == [("cloud", 0), ("cloud", 1), ("cloud", 2)]


def test_clouds_received_at_once_do_not_divide_by_zero() -> None:
    assert plan((("cloud", 10), ("tf", 10), ("cloud", 10))) == [("cloud", 0), ("tf", 1.0), ("cloud", 1)]
