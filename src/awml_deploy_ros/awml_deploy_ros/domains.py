"""A ROS domain of one's own, for runs that must hear nobody else on this machine."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

from awml_deploy_core.errors import ProcessError

DOMAINS = range(1, 102)
"""Domains whose ports lie below those that Linux gives to clients."""
MAX_DOMAIN_ID = 232
"""The ports of a greater one would be beyond 65535."""
_FIRST_PORT = 7400
_PORTS = 250
"""UDP ports of one domain, by the DDS interoperability protocol."""
_LOCAL_PORT = re.compile(r"^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) ", re.MULTILINE)


def reserve_domain_id() -> int:
    """A domain that no other process on this machine uses or reserves, until this process ends.

    Raises:
        ProcessError: There is none left.
    """
    used = domains_in_use()
    start = os.getpid() % len(DOMAINS)
    for domain_id in (*DOMAINS[start:], *DOMAINS[:start]):
        if domain_id in used:
            continue
        # An abstract socket lives as long as its process and leaves no file. Its names belong to the
        # same network namespace as the ports.
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0awml_deploy_ros_domain_{domain_id}")
        except OSError:
            name.close()
            continue
        # The descriptor stays open until the process ends.
        name.detach()
        return domain_id
    raise ProcessError(
        "ROS domain",
        f"none of {DOMAINS.start} to {DOMAINS.stop - 1} is free",
        hint="Set ROS_DOMAIN_ID to one that may be shared.",
    )


def domains_in_use() -> set[int]:
    """Domains of which a process on this machine has a port."""
    ports: set[int] = set()
    for table in ("udp", "udp6"):
        try:
            text = Path("/proc/net", table).read_text(encoding="ascii")
        except OSError:  # Without IPv6, or not on Linux: the reservation alone has to do.
            continue
        ports.update(int(port, 16) for port in _LOCAL_PORT.findall(text))
    return {(port - _FIRST_PORT) // _PORTS for port in ports if port >= _FIRST_PORT}
