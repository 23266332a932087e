"""What rosbags raises on a damaged bag, as one typed error, without importing rosbags up front."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from awml_deploy_core.errors import BagError

REINDEX_HINT = "Record or copy it again, or try `ros2 bag reindex`."

# The error of each library below rosbags that has its own; which of them rosbags uses depends on
# its version and Python's. lz4 raises RuntimeError, which is among the parsing errors.
_LIBRARY_ERRORS = {
    "rosbags.rosbag2": "ReaderError",
    "rosbags.serde": "SerdeError",
    "apsw": "Error",
    "sqlite3": "Error",
    "backports.zstd": "ZstdError",
    "compression.zstd": "ZstdError",
    "zstandard": "ZstdError",
    "ruamel.yaml.error": "YAMLError",
}

# rosbags parses storage without checking every length, type and key first, so that damage also
# shows as whatever Python says about the nonsense it computed: a size that no memory holds, a
# record that is None, a failed assertion.
_PARSING_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


@contextmanager
def bag_errors(
    subject: object, problem: str = "bag cannot be read", *, hint: str | None = REINDEX_HINT
) -> Iterator[None]:
    """Turn what rosbags raises on a damaged bag or message into a BagError.

    Enclose calls of rosbags only: an own mistake within would look like damage, too.

    Raises:
        BagError: About ``subject``, saying ``problem`` and the reason.
    """
    try:
        yield
    except damage_types() as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BagError(subject, problem, got=reason, hint=hint) from error


def damage_types() -> tuple[type[Exception], ...]:
    """Exceptions that mean damage, of those libraries that are loaded."""
    found = [
        getattr(sys.modules[module], name)
        for module, name in _LIBRARY_ERRORS.items()
        if module in sys.modules
    ]
    return (*found, *_PARSING_ERRORS)


def message_count(count: object) -> int:
    """The number of messages that a bag's metadata gives a topic.

    Raises:
        ValueError: It is no count.
    """
    if not isinstance(count, int) or not 0 <= count <= sys.maxsize:
        raise ValueError(f"message count {count!r}")
    return count
