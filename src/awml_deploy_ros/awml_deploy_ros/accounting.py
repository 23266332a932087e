"""Is every cloud that was fed to the model accounted for?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from awml_deploy_core.verification import CheckResult, Status


def accounting_checks(
    *,
    expected: int,
    sent: int,
    accounted: int,
    dropped: Mapping[str, int],
    recorded: int,
    node_exit_code: int | None,
    verb: str = "sent",
) -> Iterator[CheckResult]:
    """What came in, what came out, and why the rest did not.

    Dropped clouds do not fail the run as long as there is a reason; clouds without a known fate,
    frames missing from the recording and a node that did not end cleanly do.

    Args:
        expected: Clouds that there are to feed.
        sent: Clouds that were fed.
        accounted: Clouds whose fate the node told.
        dropped: Those of them that were not processed, by reason.
        recorded: Frames in the recording.
        node_exit_code: None if no process of ours ran the node.
        verb: What was done to a cloud to feed it.
    """
    processed = accounted - sum(dropped.values())
    yield _check("whole bag played", sent == expected, f"{sent} of {expected} clouds {verb}")
    reasons = ", ".join(f"{reason} {count}" for reason, count in dropped.items()) or "none"
    yield _check(
        "every cloud accounted for",
        accounted == sent,
        f"{sent} {verb}, {processed} processed, dropped with a reason: {reasons}, "
        f"{sent - accounted} without",
    )
    yield _check("clouds processed", processed > 0, f"{processed} processed")
    yield _check(
        "every frame recorded",
        recorded == processed,
        f"{recorded} frames in the recording of {processed} processed",
    )
    if node_exit_code is not None:
        yield _check("node ended cleanly", node_exit_code == 0, f"the node's exit code is {node_exit_code}")


def _check(name: str, passed: bool, message: str) -> CheckResult:
    return CheckResult(name, Status.PASSED if passed else Status.FAILED, message)
