"""Finds backends by entry point and opens sessions with them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import BackendUnavailableError, ConfigError
from awml_deploy_core.packages import load_plugin, plugin_names
from awml_deploy_core.runtime.session import Backend, Session, SessionOptions, SessionSource

GROUP = "awml_deploy.backends"


def available_backends() -> tuple[str, ...]:
    """Names of the installed backends; whether one can run here says its ``availability``."""
    return plugin_names(GROUP)


def load_backend(name: str) -> Backend:
    """Load a backend by its entry-point name.

    Raises:
        ConfigError: No installed package provides it.
        BackendUnavailableError: Its plugin cannot be imported.
    """
    backend: Backend = load_plugin(GROUP, name, "backend", "backend", BackendUnavailableError)
    return backend


def open_sessions(
    sources: Iterable[SessionSource],
    backend: Backend | str,
    device: DeviceSpec,
    options: SessionOptions | None = None,
) -> dict[str, Session]:
    """Open one session a component, in order, keyed by component name.

    If one fails, those already open are closed.

    Raises:
        ConfigError: The backend is unknown, or two sources have one component name.
        BackendUnavailableError, ArtifactError: As ``Backend.open_session``.
    """
    opener = load_backend(backend) if isinstance(backend, str) else backend
    sessions: dict[str, Session] = {}
    with ExitStack() as stack:
        for source in sources:
            if source.spec.name in sessions:
                raise ConfigError(f"component {source.spec.name}", "is given twice")
            session = opener.open_session(source, device, options or SessionOptions())
            stack.callback(session.close)
            sessions[source.spec.name] = session
        stack.pop_all()
    return sessions
