"""Every cloud gets the image nearest in time, whatever comes first, or a reason."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_ros.counters import DropReason
from awml_deploy_ros.pairing import Pairer, SensorPair, WaitingCloud

MS = 1_000_000


def cloud(stamp_ms: int) -> WaitingCloud:
    return WaitingCloud(stamp_ms * MS, f"cloud {stamp_ms}", 0)


def add_image(pairer: Pairer, stamp_ms: int) -> list[SensorPair]:
    """An image and then its camera info."""
    first = pairer.add_image(stamp_ms * MS, f"image {stamp_ms}")
    return [*first, *pairer.add_info(stamp_ms * MS, f"info {stamp_ms}")]


def summary(pairs: list[SensorPair]) -> list[tuple[int, object]]:
    return [(pair.cloud.stamp_ns // MS, pair.image) for pair in pairs]


def test_a_cloud_waits_until_no_nearer_image_can_come() -> None:
    pairer = Pairer(50 * MS, 5)
    assert add_image(pairer, 90) == []
    assert pairer.add_cloud(cloud(100)) == []
    (pair,) = add_image(pairer, 105)
    assert (pair.image, pair.info, pair.stamp_difference_ns) == ("image 105", "info 105", 5 * MS)
    assert pairer.waiting == 0


def test_an_image_at_the_very_time_is_taken_at_once() -> None:
    pairer = Pairer(0, 5)
    add_image(pairer, 100)
    (pair,) = pairer.add_cloud(cloud(100))
    assert (pair.image, pair.problem) == ("image 100", None)


def test_an_image_counts_with_the_camera_info_of_its_own_stamp() -> None:
    pairer = Pairer(50 * MS, 5)
    pairer.add_cloud(cloud(100))
    assert pairer.add_image(101 * MS, "image") == []
    assert pairer.add_info(102 * MS, "another") == []
    (pair,) = pairer.add_info(101 * MS, "info")
    assert (pair.image, pair.info) == ("image", "info")


@pytest.mark.parametrize(
    ("images", "infos", "words"),
    [
        ([], [100], "no image came"),
        ([100], [], "images came, but no camera_info"),
        ([100], [101], "no camera_info has the stamp of an image"),
        ([40], [40], r"the nearest -60\.0 ms from it; expected within 50 ms"),
    ],
)
def test_a_cloud_without_an_image_says_why(images: list[int], infos: list[int], words: str) -> None:
    pairer = Pairer(50 * MS, 1)
    for stamp in images:
        pairer.add_image(stamp * MS, "image")
    for stamp in infos:
        pairer.add_info(stamp * MS, "info")
    assert pairer.add_cloud(cloud(100)) == []
    (pair,) = pairer.add_cloud(cloud(110))
    assert pair.cloud.stamp_ns == 100 * MS
    assert pair.problem.drop_reason is DropReason.UNPAIRED
    with pytest.raises(type(pair.problem), match=words):
        raise pair.problem


def test_nothing_from_before_time_jumped_back_is_used() -> None:
    pairer = Pairer(10**15, 5)
    add_image(pairer, 9000)
    assert pairer.add_cloud(cloud(10_000)) == []
    (left,) = pairer.add_cloud(cloud(500))
    assert "time jumped back" in str(left.problem)
    assert summary(add_image(pairer, 510)) == [(500, "image 510")]


def test_what_is_remembered_is_bounded() -> None:
    pairer = Pairer(50 * MS, 3)
    for stamp in range(0, 10_000, 10):
        add_image(pairer, stamp)
        pairer.add_image((stamp + 1) * MS, "without info")
    assert max(len(pairer._images), len(pairer._infos)) <= 16
    for stamp in range(10_000, 10_100, 10):
        pairer.add_cloud(cloud(stamp))
    assert pairer.waiting <= 3


STAMPS = st.lists(st.integers(0, 800), min_size=1, max_size=12, unique=True).map(sorted)


@given(STAMPS, STAMPS, st.integers(0, 2**32 - 1))
def test_it_depends_on_stamps_alone(clouds: list[int], images: list[int], seed: int) -> None:
    """Each sensor in its own order, both interleaved at random: the same pairs, and every cloud once."""
    # An image after all others, so that no cloud is left.
    images = [*images, 10_000]
    rng = np.random.default_rng(seed)
    pairer = Pairer(100 * MS, 100)
    left = {"cloud": list(clouds), "image": list(images), "info": list(images)}
    pairs: list[SensorPair] = []
    while any(left.values()):
        sensor = rng.choice([name for name, stamps in left.items() if stamps])
        stamp = left[sensor].pop(0)
        if sensor == "cloud":
            pairs += pairer.add_cloud(cloud(stamp))
        elif sensor == "image":
            pairs += pairer.add_image(stamp * MS, f"image {stamp}")
        else:
            pairs += pairer.add_info(stamp * MS, f"info {stamp}")
    nearest = [min(images, key=lambda image, c=c: (abs(image - c), image)) for c in clouds]
    expected = [
        (c, f"image {image}" if abs(image - c) <= 100 else None)
        for c, image in zip(clouds, nearest, strict=True)
    ]
    assert summary(pairs) == expected
