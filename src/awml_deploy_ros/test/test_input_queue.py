"""The queue of one."""

import threading

from awml_deploy_ros.input_queue import LatestInput, ReceivedInput


def test_the_latest_input_wins() -> None:
    queue = LatestInput()
    first, second = ReceivedInput("first", 0), ReceivedInput("second", 1)
    assert queue.put(first) is None
    assert queue.put(second) is first
    assert queue.take() is second


def test_closing_ends_a_wait_and_tells_what_was_left() -> None:
    queue = LatestInput()
    taken = []
    thread = threading.Thread(target=lambda: taken.append(queue.take()))
    thread.start()
    assert queue.close() == 0
    thread.join(60)
    assert taken == [None]

    queue = LatestInput()
    queue.put(ReceivedInput("waiting", 0))
    assert queue.close() == 1
    assert queue.take() is None
    late = ReceivedInput("too late", 1)
    assert queue.put(late) is late
