"""Messages that never reached a subscription are counted once, whoever noticed."""

from types import SimpleNamespace
from typing import Any

from awml_deploy_ros.qos_events import MissingMessages


def info(number: int | None, publisher: bytes = b"a") -> dict[str, Any]:
    return {"publication_sequence_number": number, "publisher_gid": {"data": publisher}}


def lost(missing: MissingMessages, number: int) -> None:
    missing._on_lost(SimpleNamespace(total_count_change=number))


def test_gaps_between_the_numbers_of_a_publisher_are_missing() -> None:
    counted: list[int] = []
    missing = MissingMessages(counted.append)
    for number in (7, 8, 12, 13, 15):
        missing.arrived(info(number))
    assert counted == [3, 1]


def test_publishers_are_told_apart_and_what_was_sent_before_is_not_missing() -> None:
    counted: list[int] = []
    missing = MissingMessages(counted.append)
    for number, publisher in ((5, b"a"), (900, b"b"), (6, b"a"), (901, b"b"), (1, b"c")):
        missing.arrived(info(number, publisher))
    assert counted == []


def test_a_late_or_repeated_number_is_not_missing() -> None:
    counted: list[int] = []
    missing = MissingMessages(counted.append)
    for number in (5, 5, 3, 6):
        missing.arrived(info(number))
    assert counted == []


def test_the_middlewares_report_counts_where_there_are_no_numbers_only() -> None:
    counted: list[int] = []
    missing = MissingMessages(counted.append)
    missing.arrived({"source_timestamp": 0})
    missing.arrived(info(None))
    lost(missing, 2)
    missing.arrived(info(1))
    lost(missing, 1)
    missing.arrived(info(3))
    assert counted == [2, 1]


def test_only_the_latest_publishers_are_remembered() -> None:
    missing = MissingMessages(lambda _: None)
    for index in range(1000):
        missing.arrived(info(1, index.to_bytes(2, "big")))
    assert len(missing._last) == 64
