"""Times on the GPU, by events that are nodes of the graph they measure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from typing import Any

import numpy as np

from awml_deploy_core.runtime.cuda import CudaContext, capture

_COPY_BYTES = 402 << 20
_FLUSH_BYTES = 256 << 20
"""More than the second-level cache of any GPU."""
_REPEATS = 20

Enqueue = Callable[[int], None]


def statistics(values: Sequence[float]) -> dict[str, float]:
    """Percentiles of a list of milliseconds."""
    names = {"p50": 50, "p90": 90, "p99": 99, "p99_9": 99.9}
    found = {name: float(np.percentile(values, rank)) for name, rank in names.items()}
    every = {"min": min(values), **found, "max": max(values), "mean": float(np.mean(values))}
    return {name: round(float(value), 5) for name, value in every.items()}


class GraphTimer:
    """Measures work on one GPU.

    Args:
        context: The GPU.
        rounds: Measured launches of each task.
    """

    def __init__(self, context: CudaContext, rounds: int) -> None:
        self._context = context
        self._rounds = rounds
        self._start, self._end = context.create_event(), context.create_event()
        self._flush = context.buffer((_FLUSH_BYTES,), np.uint8)

    def measure(self, enqueue: Enqueue) -> dict[str, Any]:
        """Milliseconds of work that can be captured: alone with warm and cold caches, and side by side."""
        return {
            "warm": statistics(self._single(enqueue, cold=False)),
            "cold": statistics(self._single(enqueue, cold=True)),
            f"one of {_REPEATS} in a graph": round(self._repeated(enqueue), 5),
        }

    def steps(self, steps: Mapping[str, Enqueue]) -> dict[str, Any]:
        """Median milliseconds of every step of a graph, with an event behind each.

        What an event costs is in every figure; ``nothing`` is the time between two events in a row.
        """
        context, stream = self._context, self._context.stream
        names = ("nothing", *steps)
        events = [context.create_event() for _ in range(len(names) + 1)]
        work: list[Enqueue] = [lambda _: None, *steps.values()]
        found: dict[str, Any] = {}
        for caches in ("warm", "cold"):

            def timed(stream: int, caches: str = caches) -> None:
                if caches == "cold":
                    context.fill(self._flush.address, 1, self._flush.size, stream)
                context.record(events[0], stream, captured=True)
                for step, event in zip(work, events[1:], strict=True):
                    step(stream)
                    context.record(event, stream, captured=True)

            graph = capture(context, stream, timed)
            times: list[list[float]] = []
            for index in range(self._rounds + 10):
                graph.launch(stream)
                context.synchronize()
                if index >= 10:
                    times.append([context.elapsed_ms(*pair) for pair in pairwise(events)])
            graph.close()
            medians = np.median(np.array(times), axis=0)
            found[caches] = {
                name: round(float(value), 5) for name, value in zip(names, medians, strict=True)
            }
        return found

    def _single(self, enqueue: Enqueue, *, cold: bool) -> list[float]:
        context, stream = self._context, self._context.stream
        enqueue(stream)
        context.synchronize()

        def timed(stream: int) -> None:
            if cold:
                context.fill(self._flush.address, 1, self._flush.size, stream)
            context.record(self._start, stream, captured=True)
            enqueue(stream)
            context.record(self._end, stream, captured=True)

        graph = capture(context, stream, timed)
        times = []
        for index in range(self._rounds + 10):
            graph.launch(stream)
            context.synchronize()
            if index >= 10:
                times.append(context.elapsed_ms(self._start, self._end))
        graph.close()
        return times

    def _repeated(self, enqueue: Enqueue) -> float:
        context, stream = self._context, self._context.stream

        def repeated(stream: int) -> None:
            context.record(self._start, stream, captured=True)
            for _ in range(_REPEATS):
                enqueue(stream)
            context.record(self._end, stream, captured=True)

        graph = capture(context, stream, repeated)
        times = []
        for _ in range(max(10, self._rounds // _REPEATS)):
            graph.launch(stream)
            context.synchronize()
            times.append(context.elapsed_ms(self._start, self._end) / _REPEATS)
        graph.close()
        return float(np.median(times))

    def eager(self, enqueue: Enqueue, rounds: int) -> dict[str, float]:
        """Milliseconds of work that the host enqueues, waiting after each."""
        context, stream = self._context, self._context.stream
        times = []
        for index in range(rounds + 3):
            context.record(self._start, stream)
            enqueue(stream)
            context.record(self._end, stream)
            context.synchronize()
            if index >= 3:
                times.append(context.elapsed_ms(self._start, self._end))
        return statistics(times)


def copy_bandwidth(context: CudaContext) -> dict[str, float]:
    """GB/s of copies: on the device (read and written bytes together) and from pinned memory."""
    start, end = context.create_event(), context.create_event()
    a, b = (context.buffer((_COPY_BYTES,), np.uint8, fill=0) for _ in range(2))
    host = context.pinned((4 << 20,), np.uint8)

    def fastest(target: int, source: int, size: int) -> float:
        times = []
        for _ in range(30):
            context.record(start)
            context.copy(target, source, size)
            context.record(end)
            context.synchronize()
            times.append(context.elapsed_ms(start, end))
        return float(np.median(times))

    on_device = fastest(b.address, a.address, _COPY_BYTES)
    upload = fastest(a.address, host.address, host.size)
    return {
        "device_gb_per_s": round(2 * _COPY_BYTES / on_device / 1e6, 1),
        "upload_4mb_gb_per_s": round(host.size / upload / 1e6, 1),
        "upload_4mb_ms": round(upload, 5),
    }


def staging_times(context: CudaContext) -> dict[str, float]:
    """Milliseconds of the host for 4 MB of pageable memory: into pinned memory, and by the driver alone."""
    size, rounds = 4 << 20, 100
    # More sources than caches hold, as every message of a node is another one.
    sources = [np.full(size, index, np.uint8) for index in range(32)]
    pinned = context.pinned((size,), np.uint8).array
    device = context.buffer((size,), np.uint8)

    def median(task: Callable[[np.ndarray], None]) -> float:
        times = []
        for index in range(rounds):
            start = time.perf_counter_ns()
            task(sources[index % len(sources)])
            times.append((time.perf_counter_ns() - start) * 1e-6)
        return round(float(np.median(times)), 5)

    def by_driver(source: np.ndarray) -> None:
        context.upload(device.address, source)
        context.synchronize()

    found = {"driver": median(by_driver), "1 thread": median(lambda source: np.copyto(pinned, source))}
    for threads in (2, 4):
        with ThreadPoolExecutor(threads) as pool:
            parts = np.array_split(np.arange(size), threads)
            slices = [slice(int(part[0]), int(part[-1]) + 1) for part in parts]

            def shared(source: np.ndarray, pool: ThreadPoolExecutor = pool, slices: Any = slices) -> None:
                jobs = [pool.submit(np.copyto, pinned[each], source[each]) for each in slices[1:]]
                np.copyto(pinned[slices[0]], source[slices[0]])
                wait(jobs)

            found[f"{threads} threads"] = median(shared)
    return found


def host_calls(context: CudaContext, rounds: int = 500) -> dict[str, float]:
    """Median microseconds of the host in the calls that a frame makes, with nothing else on the stream."""
    first, second = context.create_event(), context.create_event()
    device, host = context.buffer((4096,), np.uint8), context.pinned((4096,), np.uint8)
    graph = capture(context, context.stream, lambda stream: context.fill(device.address, 0, 64, stream))
    tasks: dict[str, Callable[[], Any]] = {
        "activate": context.activate,
        "record": lambda: context.record(first),
        "copy": lambda: context.copy(device.address, host.address, 4096),
        "launch": lambda: graph.launch(context.stream),
        "synchronize": context.synchronize,
        "elapsed_ms": lambda: context.elapsed_ms(first, second),
    }
    context.record(first)
    context.record(second)
    found = {}
    for name, task in tasks.items():
        times = []
        for _ in range(rounds):
            context.synchronize()
            start = time.perf_counter_ns()
            task()
            times.append((time.perf_counter_ns() - start) * 1e-3)
        found[name] = round(float(np.median(times)), 2)
    graph.close()
    return found


def gpu_record(context: CudaContext) -> dict[str, Any]:
    """What the figures depend on."""
    _, name = context.driver.api.cuDeviceGetName(
        256, context.driver.call("cuDeviceGet", context.device.index)
    )
    return {
        "name": name.split(b"\0")[0].decode(),
        "arch": context.arch,
        "multiprocessors": context.attribute("MULTIPROCESSOR_COUNT"),
        "driver": context.driver.call("cuDriverGetVersion"),
    }
