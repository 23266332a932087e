"""One session protocol over every backend, found by entry point."""

from awml_deploy_core.runtime.registry import available_backends, load_backend, open_sessions
from awml_deploy_core.runtime.session import (
    Availability,
    Backend,
    Session,
    SessionOptions,
    SessionSource,
    Tensors,
    check_inputs,
    check_outputs,
)

__all__ = [
    "Availability",
    "Backend",
    "Session",
    "SessionOptions",
    "SessionSource",
    "Tensors",
    "available_backends",
    "check_inputs",
    "check_outputs",
    "load_backend",
    "open_sessions",
]
