"""Two suites at once on one machine must not hear each other."""

import os
import socket
import sys

import pytest
from processes import Process

from awml_deploy_core.errors import ProcessError
from awml_deploy_ros import domains
from awml_deploy_ros.domains import DOMAINS, domains_in_use, reserve_domain_id

RESERVE = """
import os
os.getpid = lambda: 41
from awml_deploy_ros.domains import reserve_domain_id
print("domain", reserve_domain_id(), flush=True)
input()
"""


def domain_of(process: Process) -> int:
    process.wait_for("\n")
    return int(process.output.split()[1])


def test_processes_that_would_choose_the_same_domain_get_different_ones() -> None:
    with Process("-c", RESERVE) as one, Process("-c", RESERVE) as two:
        first, second = domain_of(one), domain_of(two)
        assert first != second
        assert {first, second} <= set(DOMAINS)
    with Process("-c", RESERVE) as three:
        assert domain_of(three) in {first, second}


def test_this_process_has_one_of_its_own() -> None:
    assert reserve_domain_id() != int(os.environ["ROS_DOMAIN_ID"])


@pytest.mark.skipif(sys.platform != "linux", reason="ports are read from /proc")
def test_a_domain_whose_port_is_taken_is_in_use(monkeypatch) -> None:
    domain_id = reserve_domain_id()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.bind(("127.0.0.1", 7400 + 250 * domain_id + 10))
        assert domain_id in domains_in_use()
        monkeypatch.setattr(domains, "DOMAINS", range(domain_id, domain_id + 1))
        with pytest.raises(ProcessError, match=f"none of {domain_id} to {domain_id} is free"):
            reserve_domain_id()
    assert domain_id not in domains_in_use()
