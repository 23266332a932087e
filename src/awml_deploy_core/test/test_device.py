import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.errors import DeviceError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cpu", CPU),
        (" CPU ", CPU),
        ("cuda", DeviceSpec("cuda", 0)),
        ("cuda:0", DeviceSpec("cuda", 0)),
        ("Cuda:11", DeviceSpec("cuda", 11)),
    ],
)
def test_parses_devices(text: str, expected: DeviceSpec) -> None:
    assert DeviceSpec.parse(text) == expected


@pytest.mark.parametrize("text", ["", "gpu", "cpu:0", "cuda:", "cuda:-1", "cuda:1.5", "cuda 0"])
def test_refuses_anything_else(text: str) -> None:
    with pytest.raises(DeviceError, match="expected cpu, cuda or cuda:N"):
        DeviceSpec.parse(text)


@given(st.integers(0, 64))
def test_text_form_parses_back(index: int) -> None:
    device = DeviceSpec("cuda", index)
    assert DeviceSpec.parse(str(device)) == device


def test_cpu_has_no_index_in_its_text() -> None:
    assert str(CPU) == "cpu"
