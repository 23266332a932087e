"""Batches made on a GPU while it trains on the one before."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import torch
from torch import Tensor

from awml_deploy_lab.training.batch import TrainingBatch

_DEPTH = 2
_POLL_SECONDS = 0.2


def ahead(batches: Iterator[TrainingBatch], device: torch.device) -> Iterator[TrainingBatch]:
    """The same batches, made by a thread of its own on a CUDA stream of its own.

    What the thread raises is raised here; it ends with the returned iterator.
    """
    made: queue.Queue[tuple[TrainingBatch, torch.cuda.Event] | BaseException | None]
    made = queue.Queue(_DEPTH)
    closing = threading.Event()
    stream = torch.cuda.Stream(device)

    def put(item: tuple[TrainingBatch, torch.cuda.Event] | BaseException | None) -> bool:
        while not closing.is_set():
            try:
                made.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            with torch.cuda.device(device), torch.cuda.stream(stream):
                for batch in batches:
                    if not put((batch, stream.record_event())):
                        return
            put(None)
        # Whatever ends the thread must end the training.
        except BaseException as error:  # noqa: BLE001
            put(error)

    thread = threading.Thread(target=make, name="batches ahead", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            batch, ready = item
            current = torch.cuda.current_stream(device)
            current.wait_event(ready)
            for value in vars(batch).values():
                if isinstance(value, Tensor):
                    value.record_stream(current)
            yield batch
    finally:
        closing.set()
        thread.join()
