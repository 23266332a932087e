"""What killed processes left in /dev/shm."""

import fcntl
import os
from pathlib import Path

from awml_deploy_ros.shared_memory import Cleaned, remove_orphans

OWNED, ORPHAN, PORT = "fastdds_0123456789abcdef", "fastrtps_fedcba9876543210", "fastdds_port7001"


def test_segments_whose_owner_lives_stay(tmp_path: Path) -> None:
    for name in (OWNED, ORPHAN, PORT, "somebody_elses"):
        (tmp_path / name).write_bytes(bytes(1000))
        (tmp_path / f"{name}_el").touch()
    (tmp_path / "fastdds_0000000000000000").touch()
    descriptor = os.open(tmp_path / f"{OWNED}_el", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert remove_orphans(tmp_path) == Cleaned()
    assert remove_orphans(tmp_path, young_s=-1.0) == Cleaned(1, 1000)
    left = {path.name for path in tmp_path.iterdir()}
    assert ORPHAN not in left
    assert f"{ORPHAN}_el" not in left
    assert {OWNED, PORT, "somebody_elses", "fastdds_0000000000000000"} <= left
    os.close(descriptor)
    assert remove_orphans(tmp_path, young_s=-1.0).segments == 1


def test_without_shared_memory_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert remove_orphans(tmp_path / "nowhere") == Cleaned()
