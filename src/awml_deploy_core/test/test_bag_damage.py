from __future__ import annotations

import subprocess
import sys

import pytest

from awml_deploy_core.bag_damage import bag_errors, message_count
from awml_deploy_core.errors import BagError


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "MemoryError"),
        (RuntimeError("LZ4F_decompress\n failed"), "LZ4F_decompress failed"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_damage_is_one_typed_error_with_its_reason(error: Exception, reason: str) -> None:
    expected = rf"^bag: is damaged; got .*{reason}\. Copy it\.$"
    damage = bag_errors("bag", "is damaged", hint="Copy it.")
    with pytest.raises(BagError, match=expected) as caught, damage:
        raise error
    assert caught.value.__cause__ is error


def test_errors_of_the_library_that_is_loaded_are_damage() -> None:
    zstd = pytest.importorskip("backports.zstd")
    with pytest.raises(BagError, match="bag cannot be read"), bag_errors("bag"):
        zstd.decompress(b"\x28\xb5\x2f\xfd" + b"\xff" * 9)


def test_what_is_no_damage_passes_unchanged() -> None:
    known = BagError("bag", "no such bag")
    for error in (known, KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, bag_errors("bag"):
            raise error
        assert caught.value is error


@pytest.mark.parametrize("count", [-1, 2**63, 1.0, "4", None])
def test_a_message_count_is_a_whole_number(count: object) -> None:
    with pytest.raises(ValueError, match="message count"):
        message_count(count)
    assert message_count(4) == 4


def test_nothing_that_reads_bags_is_imported() -> None:
    code = "import sys, awml_deploy_core.bag_damage; print([n for n in sys.modules if 'rosbags' in n])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
