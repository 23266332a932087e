"""Memory, kernels, graphs and failures on a real GPU; skipped visibly where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from awml_deploy_core.errors import BackendUnavailableError, DeviceError, InferenceError
from awml_deploy_core.runtime.cuda import (
    CudaContext,
    DeviceBuffer,
    KernelModule,
    KernelSource,
    capture,
    compile_kernels,
)
from awml_deploy_core.runtime.cuda.program import Program, Step
from awml_deploy_core.runtime.cuda.switch import DeviceSwitch

SOURCE = """
extern "C" __global__ void multiply(const float* source, float* result, int count, float factor) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) result[i] = source[i] * factor;
}
"""
COUNT = 1000
VALUES = np.arange(COUNT, dtype=np.float32)


@pytest.fixture
def source(tmp_path: Path) -> KernelSource:
    (tmp_path / "multiply.cu").write_text(SOURCE)
    return KernelSource(tmp_path / "multiply.cu")


def read(context: CudaContext, buffer: DeviceBuffer) -> np.ndarray:
    found = np.empty(buffer.shape, buffer.dtype)
    context.download(found, buffer.address)
    context.synchronize()
    return found


def test_a_kernel_runs_on_what_was_copied(gpu: CudaContext, source: KernelSource) -> None:
    a, b = (gpu.buffer((COUNT,), np.float32, fill=0) for _ in range(2))
    gpu.upload(a.address, VALUES)
    kernel = KernelModule(gpu, source).kernel("multiply")
    kernel.bind(4, 256, [a, b, np.int32(COUNT), np.float32(0.5)]).enqueue(gpu.stream)
    np.testing.assert_array_equal(read(gpu, b), VALUES * np.float32(0.5))
    with pytest.raises(InferenceError, match=r"cuModuleGetFunction of divide in multiply\.cu"):
        KernelModule(gpu, source).kernel("divide")


def test_a_graph_repeats_what_was_captured_on_what_is_there_now(
    gpu: CudaContext, source: KernelSource
) -> None:
    kernel = KernelModule(gpu, source).kernel("multiply")
    given, result = (gpu.pinned((COUNT,), np.float32) for _ in range(2))
    a, b = (gpu.buffer((COUNT,), np.float32, fill=0) for _ in range(2))
    launch = kernel.bind(4, 256, [a, b, np.int32(COUNT), np.float32(3)])
    steps = [
        Step("there", lambda stream: gpu.copy(a.address, given.address, given.size, stream)),
        Step("multiply", launch.enqueue),
        Step("back", lambda stream: gpu.copy(result.address, b.address, result.size, stream)),
    ]
    program = Program(gpu, steps)
    program.run_eagerly()
    gpu.synchronize()
    program.capture()
    assert program.graph_count == 1
    for factor in (1, 2, 5):
        given.array[:] = VALUES * factor
        program.start()
        program.run()
        gpu.synchronize()
        np.testing.assert_array_equal(result.array, VALUES * factor * 3)
        times = dict(program.latencies())
        assert tuple(times) == ("there", "multiply", "back")
        assert all(0 <= time < 1000 for time in times.values())
        assert sum(times.values()) > 0
    program.close()


def test_work_that_cannot_be_captured_is_called_between_graphs(gpu: CudaContext) -> None:
    seen: list[int] = []
    a = gpu.buffer((1,), np.int32, fill=0)

    def fill(value: int) -> Step:
        return Step(f"fill {value}", lambda stream: gpu.fill(a.address, value, 4, stream))

    def look(stream: int) -> None:
        gpu.synchronize(stream)
        seen.append(int(read(gpu, a)[0]))

    program = Program(gpu, [fill(1), Step("look", look, capturable=False), fill(0)])
    program.capture()
    for _ in range(2):
        program.start()
        program.run()
        gpu.synchronize()
    assert program.graph_count == 2
    assert seen == [0x01010101] * 2
    assert read(gpu, a)[0] == 0
    assert len(program.latencies()) == 3
    program.close()


def test_the_device_chooses_the_branch(gpu: CudaContext) -> None:
    limits = (10, 20, 40)
    switch = DeviceSwitch(gpu, limits)
    count, result = (gpu.buffer((1,), np.uint32, fill=0) for _ in range(2))
    branches = [lambda stream, mark=mark: gpu.fill(result.address, mark, 4, stream) for mark in (1, 2, 3)]

    def enqueue(stream: int) -> None:
        gpu.fill(result.address, 0, 4, stream)
        switch.capture(stream, count, branches)

    graph = capture(gpu, gpu.stream, enqueue)
    for value, expected in ((0, 0), (1, 1), (10, 1), (11, 2), (20, 2), (40, 3), (41, 3), (5, 1)):
        gpu.upload(count.address, np.array([value], np.uint32))
        graph.launch(gpu.stream)
        assert read(gpu, result)[0] & 0xFF == expected, value
    graph.close()


def test_more_memory_than_there_is(gpu: CudaContext) -> None:
    with pytest.raises(DeviceError, match="out of memory"):
        gpu.allocate(1 << 50)
    assert gpu.allocate(1 << 10)


def test_code_for_another_gpu(
    gpu: CudaContext, source: KernelSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "sm_75" if gpu.arch != "sm_75" else "sm_90"
    code = compile_kernels(source, other)
    with pytest.raises(BackendUnavailableError, match="NO_BINARY_FOR_GPU"):
        gpu.driver.call("cuModuleLoadData", code)


def test_after_an_illegal_address_the_device_is_lost(gpu: CudaContext, tmp_path: Path) -> None:
    (tmp_path / "stray.cu").write_text(
        'extern "C" __global__ void stray(int* at) { at[0] = *(volatile int*)at + 1; }'
    )
    code = f"""
from pathlib import Path
import numpy as np
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import DeviceLostError
from awml_deploy_core.runtime.cuda import CudaContext, KernelModule, KernelSource
context = CudaContext(DeviceSpec("cuda"))
kernel = KernelModule(context, KernelSource(Path({str(tmp_path / "stray.cu")!r}))).kernel("stray")
kernel.bind(1, 1, [np.uint64(4096)]).enqueue(context.stream)
for _ in range(2):
    try:
        context.synchronize()
    except DeviceLostError as error:
        print(error)
context.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.strip().splitlines()
    assert "is lost" in first
    assert "restart the process" in second
