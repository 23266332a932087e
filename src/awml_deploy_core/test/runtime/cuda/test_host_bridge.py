"""A session of the host behind the protocol of the device, with device memory that is the host's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from awml_deploy_core.components import ComponentSpec, DynamicAxis, TensorSpec
from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.errors import InferenceError, TensorMismatchError
from awml_deploy_core.runtime.cuda.bridge import HostBridge, on_device
from awml_deploy_core.runtime.cuda.memory import DeviceSpan, PinnedBuffer, array_at
from awml_deploy_core.runtime.cuda.session import DeviceSession, largest_shape, output_shapes

N = DynamicAxis("n", 1, 4, 8)
SPEC = ComponentSpec("double", "double.onnx", (TensorSpec("x", (N, 3)),), (TensorSpec("y", (N, 1, 3)),))


class HostContext:
    """Addresses are those of the host, and copies happen at once."""

    device = DeviceSpec("cuda")

    def __init__(self) -> None:
        self.held: list[np.ndarray] = []
        self.waited: list[int] = []

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> PinnedBuffer:
        self.held.append(np.zeros(shape, dtype))
        return PinnedBuffer(self.held[-1].ctypes.data, self.held[-1])

    def download(self, array: np.ndarray, address: int, stream: int) -> None:
        array[...] = array_at(address, array.shape, array.dtype)

    def upload(self, address: int, array: np.ndarray, stream: int) -> None:
        array_at(address, array.shape, array.dtype)[...] = array

    def synchronize(self, stream: int) -> None:
        self.waited.append(stream)


class DoubleSession:
    spec, backend, device = SPEC, "toy", CPU

    def run(self, inputs: Any) -> dict[str, np.ndarray]:
        return {"y": 2 * inputs["x"][:, None]}

    def close(self) -> None:
        raise AssertionError("the bridge does not own it")


@pytest.fixture
def bridge() -> HostBridge:
    made = on_device(DoubleSession(), HostContext())  # type: ignore[arg-type]
    assert isinstance(made, HostBridge)
    assert isinstance(made, DeviceSession)
    return made


def test_tensors_of_varying_length_go_through_the_host(bridge: HostBridge) -> None:
    x, y = np.zeros((8, 3), np.float32), np.zeros((8, 1, 3), np.float32)
    bridge.bind({name: DeviceSpan(a.ctypes.data, a.nbytes) for name, a in (("x", x), ("y", y))})
    for count in (8, 2, 5):
        x[:count] = np.arange(3 * count).reshape(count, 3)
        y[...] = -1
        assert bridge.set_shapes({"x": (count, 3)}) == {"y": (count, 1, 3)}
        bridge.enqueue(5)
        np.testing.assert_array_equal(y[:count, 0], 2 * x[:count])
        assert (y[count:] == -1).all()
    assert bridge._context.waited == [5, 5, 5]  # type: ignore[attr-defined]
    assert not bridge.capturable
    bridge.close()


def test_what_does_not_fit_is_named(bridge: HostBridge) -> None:
    with pytest.raises(TensorMismatchError, match="x has 4 bytes, expected at least 96"):
        bridge.bind({"x": DeviceSpan(1, 4), "y": DeviceSpan(1, 96)})
    with pytest.raises(TensorMismatchError, match="axis 0 is 9"):
        bridge.set_shapes({"x": (9, 3)})
    with pytest.raises(InferenceError, match="is not bound"):
        bridge.enqueue(0)


def test_an_axis_of_an_output_comes_from_an_input() -> None:
    strange = ComponentSpec("s", "s.onnx", SPEC.inputs, (TensorSpec("z", (DynamicAxis("m", 1, 1, 2), 3)),))
    with pytest.raises(TensorMismatchError, match="z: axis m"):
        output_shapes(strange, {"x": (2, 3)})
    assert largest_shape(SPEC.outputs[0]) == (8, 1, 3)
