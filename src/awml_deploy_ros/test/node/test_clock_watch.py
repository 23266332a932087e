"""A clock that is set is noticed."""

from awml_deploy_ros.node.clock_watch import ClockWatch

MS = 1_000_000


def test_a_jump_makes_a_second_of_stamps_doubtful() -> None:
    watch = ClockWatch()
    assert not watch.look(10_000 * MS, 0)
    assert not watch.look(10_100 * MS, 100 * MS)
    assert watch.look(5_000 * MS, 200 * MS)
    assert watch.look(5_900 * MS, 1_100 * MS)
    assert not watch.look(6_050 * MS, 1_250 * MS)
    assert watch.jumps == 1


def test_a_clock_that_is_slewed_does_not_jump() -> None:
    watch = ClockWatch()
    for second in range(100):
        assert not watch.look(round(second * 1000 * MS * 1.0005), second * 1000 * MS)
    assert watch.jumps == 0
