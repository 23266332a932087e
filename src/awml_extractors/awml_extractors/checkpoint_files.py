"""Strict loading of mmengine, mmdet3d, mmdet, mmpretrain and AWML checkpoints without those packages."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from awml_deploy_core.errors import CheckpointError

INERT_CLASSES = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    "mmengine.config.config.ConfigDict",
    "builtins.getattr",
    "numpy.ndarray",
    "numpy.dtype",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
)
"""Classes and functions that an mmengine checkpoint's training log and meta data refer to.

Each is replaced by an empty stand-in, so nothing of the log is reconstructed, nothing named here is
called (``getattr`` names the statistics methods of a HistoryBuffer), and none of these packages has
to be installed. Any other name makes loading fail.
"""

IGNORED_SUFFIX = ".num_batches_tracked"
"""Batch normalisation's step counter: some tools drop it, and inference does not use it."""
_MMENGINE_COUNTER, _TORCH_COUNTER = "steps", "n_averaged"
"""What averaged models of mmengine and of torch count their updates in, beside the weights."""

_PROTOCOL_HINT = "If it is a checkpoint, save it again with the pickle protocol of torch.save, 2."
_NESTING_KEYS = ("state_dict", "model", "model_state_dict")
_UNREADABLE = (
    OSError,
    RuntimeError,
    EOFError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
)
"""What ``torch.load`` raises on damaged files, found by damaging some at every position."""


def read_tensors(path: Path, *, prefer_ema: bool = True) -> dict[str, Tensor]:
    """The tensors of a checkpoint's state dict, by the names they have there.

    mmengine's EMAHook swaps the two sets when it saves, so that ``state_dict`` holds the averaged
    weights and ``ema_state_dict`` the raw ones; elsewhere ``ema_state_dict`` is what it says. Its
    step counter tells that mmengine wrote it, also after other entries of the file were removed.

    Args:
        path: A file written by mmengine, AWML or ``torch.save`` of a state dict.
        prefer_ema: Use the averaged weights where the file has both averaged and raw ones.

    Raises:
        CheckpointError: The file is missing, damaged, not a checkpoint, or contains pickled code.
    """
    content = _load(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(
            path, "is not a checkpoint", got=type(content).__name__, expected="a mapping of tensors"
        )
    state = _select(content, prefer_ema=prefer_ema)
    tensors = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        keys = ", ".join(map(str, list(content)[:8])) or "nothing"
        raise CheckpointError(
            path, "has no tensors", got=keys, expected="a state dict, or one under 'state_dict'"
        )
    return tensors


def network_entries(
    path: Path,
    tensors: Mapping[str, Tensor],
    parts: Sequence[str],
    ignored_prefixes: tuple[str, ...] = (),
) -> dict[str, Tensor]:
    """Tensors by the names of the network, without the prefixes of what wraps it.

    Args:
        path: The file, for the error.
        tensors: What :func:`read_tensors` gave.
        parts: Names of the network's top modules.
        ignored_prefixes: Entries that belong to training or to pre-processing.

    Raises:
        CheckpointError: There are several copies of the network.
    """
    network_key = re.compile(rf"((?:[^.]+\.)*?)(?:{'|'.join(parts)})\.")
    prefixes = {match.group(1) for key in tensors if (match := network_key.match(key))}
    if len(prefixes) > 1:
        raise CheckpointError(
            path,
            "holds several copies of the network",
            got="prefixes " + ", ".join(repr(prefix) for prefix in sorted(prefixes)),
            expected="one prefix",
            hint="Save the wanted copy alone.",
        )
    prefix = prefixes.pop() if prefixes else ""
    entries = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return {key: value for key, value in entries.items() if not key.startswith(ignored_prefixes)}


def load_strictly(
    path: Path,
    model: nn.Module,
    state: Mapping[str, Tensor],
    hints: Callable[[Mapping[str, Tensor]], Sequence[str]],
) -> None:
    """Load every entry of ``state`` into ``model`` and put it into eval mode.

    Args:
        path: The file, for the error.
        model: The configured network.
        state: What :func:`network_entries` gave.
        hints: From the model's own state dict to one sentence for every cause recognised.

    Raises:
        CheckpointError: Entries are missing, unexpected, of another shape or not finite; all of
            them are listed.
    """
    expected = model.state_dict()
    if problems := _problems(expected, state):
        raise CheckpointError(
            path,
            f"does not fit the configured model ({len(problems)} entries)",
            hint="\n".join(hints(expected)) or None,
            problems=problems,
        )
    # Step counters may be absent; everything else was checked above.
    model.load_state_dict(state, strict=False)
    model.eval()


def _load(path: Path) -> Any:
    try:
        _check_sums(path)
        with torch.serialization.safe_globals(_stand_ins()), warnings.catch_warnings():
            # torch remarks on another pickle protocol before it fails over it.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(path, "does not exist") from None
    except _UNREADABLE as error:
        if refused := re.search(r"GLOBAL (\S+)", str(error)):
            raise CheckpointError(
                path,
                "refers to code that is not allowed in a checkpoint",
                got=refused.group(1),
                hint="Save only the weights: torch.save({'state_dict': model.state_dict()}, path).",
            ) from None
        raise CheckpointError(
            path,
            "is not a readable checkpoint (damaged, truncated or another kind of file)",
            got=f"{type(error).__name__} {_reason(error)}".strip(),
            hint=_PROTOCOL_HINT if "Unsupported operand" in str(error) else None,
        ) from None


def _reason(error: BaseException) -> str:
    """First line of an error without torch's advice to load the file unsafely."""
    text = str(error)
    if "weights_only" in text:
        found = re.search(r"WeightsUnpickler error:\s*(.*)", text)
        return found.group(1) if found else ""
    return text.splitlines()[0] if text else ""


def _check_sums(path: Path) -> None:
    """Compare the file's content with its check sums, which ``torch.load`` does not do."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"check sum of {damaged} is wrong")


class _Inert:
    """Takes any arguments and any state, and keeps nothing."""

    def __new__(cls, *args: object) -> Any:
        return super().__new__(cls)

    def __init__(self, *args: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def _stand_ins() -> list[Any]:
    classes = []
    for path in INERT_CLASSES:
        module, _, name = path.rpartition(".")
        classes.append(type(name, (_Inert,), {"__module__": module, "__qualname__": name}))
    return classes


def _select(content: Mapping[Any, Any], *, prefer_ema: bool) -> Mapping[Any, Any]:
    ema = content.get("ema_state_dict")
    for key in _NESTING_KEYS:
        if isinstance(content.get(key), Mapping):
            plain = content[key]
            break
    else:
        plain = None
    if isinstance(ema, Mapping):
        averaged, raw = (plain, ema) if _MMENGINE_COUNTER in ema else (ema, plain)
        chosen = averaged if prefer_ema or raw is None else raw
        if chosen is not None:
            return _without_counters(chosen)
    return _without_counters(content if plain is None else plain)


def _without_counters(state: Mapping[Any, Any]) -> Mapping[Any, Any]:
    return {key: value for key, value in state.items() if key not in (_MMENGINE_COUNTER, _TORCH_COUNTER)}


def _problems(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    problems = []
    for key, wanted in expected.items():
        value = state.get(key)
        if key.endswith(IGNORED_SUFFIX):
            continue
        if value is None:
            problems.append(f"{key}: missing, expected {list(wanted.shape)}")
        elif value.shape != wanted.shape:
            problems.append(f"{key}: shape {list(value.shape)}, expected {list(wanted.shape)}")
        elif not value.is_floating_point():
            problems.append(f"{key}: dtype {value.dtype}, expected {wanted.dtype}")
        elif not torch.isfinite(value).all():
            problems.append(f"{key}: contains NaN or infinity")
        elif key.endswith("running_var") and (value < 0).any():
            problems.append(f"{key}: contains negative variances")
    problems += [
        f"{key}: unexpected, shape {list(value.shape)}"
        for key, value in state.items()
        if key not in expected and not key.endswith(IGNORED_SUFFIX)
    ]
    return problems
