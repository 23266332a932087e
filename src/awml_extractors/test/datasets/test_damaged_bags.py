from __future__ import annotations

from pathlib import Path

import pytest
from damaged_bags import LAYOUTS, TOPIC, cloud_messages, damaged, make_bag, storage_file

from awml_deploy_core.errors import BagError, PointCloudError
from awml_extractors.datasets.bag import CloudBag, CloudCursor, list_topics
from awml_extractors.datasets.samples import open_samples

pytest.importorskip("rosbags")


@pytest.mark.parametrize("layout", ["sqlite3", "mcap_zstd"])
def test_a_corrupt_message_costs_only_its_own_sample(layout: str, tmp_path: Path) -> None:
    messages = cloud_messages()
    messages[1] = messages[1][:40]
    samples = open_samples(str(make_bag(tmp_path / "bag", layout, messages)))
    assert samples[0].sample_id.startswith("000000_")
    for _ in range(2):
        with pytest.raises(BagError, match=r"bag#/points: message 1 is corrupt"):
            samples[1]
        assert [samples[i].sample_id[:6] for i in (2, 3)] == ["000002", "000003"]


def test_skipped_messages_are_not_decoded(tmp_path: Path) -> None:
    good = cloud_messages()[0]
    bag = CloudBag.open(make_bag(tmp_path / "bag", "sqlite3", [b"corrupt", b"corrupt", good]))
    assert CloudCursor(bag).read(2).index == 2


def test_damaged_storage_is_named_for_every_message_behind_it(tmp_path: Path) -> None:
    path = make_bag(tmp_path / "bag", "sqlite3_message")
    file = storage_file(path)
    content = file.read_bytes()
    # The last message's zstd frame: its magic number.
    position = content.index(b"\x28\xb5\x2f\xfd")
    file.write_bytes(content[:position] + bytes(4) + content[position + 4 :])
    cursor = CloudCursor(CloudBag.open(path))
    for index in (3, 3):
        with pytest.raises(
            BagError, match=r"bag#/points: bag is damaged from message 3 on; got .*Zstandard"
        ):
            cursor.read(index)
    assert cursor.read(2).index == 2


def test_a_topic_that_is_only_in_the_metadata_has_no_messages(tmp_path: Path) -> None:
    path = make_bag(tmp_path / "bag", "sqlite3")
    metadata = path / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace(TOPIC, "/other"))
    with pytest.raises(BagError, match=r"bag#/other: fewer messages than the bag says; got 0"):
        open_samples(str(path))[0]
    assert list(CloudBag(path, "/absent", 4)) == []


@pytest.mark.parametrize("count", ["-1", "1.5", "many", str(2**70)])
def test_a_count_that_is_none_is_a_bag_error(count: str, tmp_path: Path) -> None:
    path = make_bag(tmp_path / "bag", "sqlite3")
    metadata = path / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("message_count: 4", f"message_count: {count}"))
    with pytest.raises(BagError, match=f"cannot be read; got .*{count}"):
        list_topics(path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_damage_is_only_ever_a_typed_error(layout: str, tmp_path: Path) -> None:
    path = make_bag(tmp_path / "bag", layout)
    file = storage_file(path)
    content = file.read_bytes()
    refused = 0
    for seed in range(60):
        file.write_bytes(damaged(content, f"{layout} {seed}"))
        try:
            list_topics(path)
            samples = open_samples(str(path))
        except BagError:
            refused += 1
            continue
        for index in range(min(len(samples), 5)):
            try:
                samples[index]
            except (BagError, PointCloudError):
                refused += 1
    assert refused


@pytest.mark.parametrize("layout", ["mcap", "mcap_lz4", "mcap_file", "sqlite3_file"])
def test_a_bag_cut_anywhere_is_a_bag_error(layout: str, tmp_path: Path) -> None:
    path = make_bag(tmp_path / "bag", layout)
    file = storage_file(path)
    content = file.read_bytes()
    for size in range(0, len(content), len(content) // 20):
        file.write_bytes(content[:size])
        with pytest.raises(BagError):
            list(CloudBag.open(path))


def test_a_record_larger_than_memory_is_a_bag_error(tmp_path: Path) -> None:
    path = make_bag(tmp_path / "bag", "mcap")
    file = storage_file(path)
    content = bytearray(file.read_bytes())
    content[9:17] = (2**62).to_bytes(8, "little")
    file.write_bytes(content)
    with pytest.raises(BagError, match=r"cannot be read; got MemoryError(.|\n)*reindex"):
        list_topics(path)
