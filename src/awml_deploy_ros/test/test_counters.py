"""No input is forgotten."""

import threading

from awml_deploy_ros.counters import CLOUDS, IMAGES, DropReason, FrameCounters, NoPastSweeps


def test_counts_add_up_across_threads() -> None:
    counters = FrameCounters()

    def work() -> None:
        for _ in range(500):
            counters.count_received()
            counters.count_processed()
            counters.count_received()
            counters.count_dropped(DropReason.SUPERSEDED)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counters.count_dropped(DropReason.LOST_IN_TRANSPORT, 3)
    snapshot = counters.snapshot()
    assert (snapshot.received, snapshot.processed) == (4000, 2000)
    assert snapshot.dropped == {
        **dict.fromkeys(CLOUDS.reasons, 0),
        DropReason.SUPERSEDED: 2000,
        DropReason.LOST_IN_TRANSPORT: 3,
    }


def test_every_frame_has_past_sweeps_or_a_reason() -> None:
    counters = FrameCounters()
    for reason in (NoPastSweeps.FIRST_FRAME, None, None, NoPastSweeps.LATE_TF):
        counters.count_processed(reason)
    snapshot = counters.snapshot()
    assert snapshot.with_past_sweeps == 2
    found = {reason: count for reason, count in snapshot.without_past_sweeps.items() if count}
    assert found == {NoPastSweeps.FIRST_FRAME: 1, NoPastSweeps.LATE_TF: 1}
    assert snapshot.processed == snapshot.with_past_sweeps + sum(found.values())


def test_images_have_neither_transforms_nor_past_sweeps() -> None:
    counters = FrameCounters(IMAGES)
    counters.count_processed()
    snapshot = counters.snapshot()
    assert set(snapshot.dropped) == set(IMAGES.reasons)
    assert not {DropReason.MISSING_TF, DropReason.UNPAIRED} & set(snapshot.dropped)
    assert snapshot.without_past_sweeps == {}


def test_a_snapshot_in_words_has_what_was_dropped_only() -> None:
    counters = FrameCounters()
    counters.count_received()
    counters.count_processed()
    assert str(counters.snapshot()) == "1 received, 1 processed"
    counters.count_dropped(DropReason.SUPERSEDED, 2)
    counters.count_dropped(DropReason.DEACTIVATED)
    assert str(counters.snapshot()) == "1 received, 1 processed, dropped: 2 superseded, 1 deactivated"
