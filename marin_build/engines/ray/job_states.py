"""What Ray's words for the state of a job mean. Pure.

Source: `JobStatus` and `JobErrorType` of Ray 2.60 (`ray/dashboard/modules/job/common.py`). Older
ones leave out `error_type` or `driver_exit_code`; then their message says it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from marin_build.engines.jobs import JobState, Phase
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXIT_CODE = re.compile(r"failed with exit code (-?\d+)")
_START_TIMEOUT = "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"
_LONGEST = 300
"""Characters of Ray's message that are shown."""


def is_live(row: Mapping[str, Any]) -> bool:
    """Return whether a job of Ray's table waits or runs."""
    return row.get("status") in {"PENDING", "RUNNING"}


def waited_too_long(row: Mapping[str, Any]) -> bool:
    """Return whether Ray gave a job up that had only waited: by default after 15 minutes."""
    if row.get("status") != "FAILED":
        return False
    return row.get("error_type") == _START_TIMEOUT or "failed to start within" in _message(row)


def job_state(row: Mapping[str, Any], why_it_waits: str = "") -> JobState:
    """Return what a row of Ray's table of jobs means.

    Args:
        row: the job as the dashboard lists it.
        why_it_waits: why no node can start it, in words; empty if one could.

    """
    status = row.get("status")
    match status:
        case "PENDING":
            return JobState(Phase.QUEUED, f"PENDING: {why_it_waits}" if why_it_waits else "")
        case "RUNNING":
            place = urlsplit(str(row.get("driver_agent_http_address") or "")).hostname or ""
            return JobState(Phase.RUNNING, place=place)
        case "SUCCEEDED":
            return JobState(Phase.ENDED, "SUCCEEDED")
        case "STOPPED":
            return JobState(Phase.ENDED, "CANCELLED in Ray (STOPPED)", "infra")
        case "FAILED":
            return _failed(row)
    return JobState(Phase.UNKNOWN, printable(str(status))[:_LONGEST])


def _failed(row: Mapping[str, Any]) -> JobState:
    code, message = row.get("driver_exit_code"), _message(row)
    if code is None and (found := _EXIT_CODE.search(message)):
        code = int(found[1])
    if isinstance(code, int) and code < 0:  # a step that was alone killed says so itself
        return JobState(Phase.ENDED, f"FAILED: its program was killed by signal {-code}", "infra")
    if isinstance(code, int):  # the program's own words say why
        return JobState(Phase.ENDED, f"FAILED: exit code {code}")
    first = next((line.strip() for line in message.splitlines() if line.strip()), "")
    said = [str(row.get("error_type") or ""), first]
    words = ": ".join(printable(each) for each in ["FAILED", *said] if each)
    return JobState(Phase.ENDED, words[:_LONGEST], "infra")


def _message(row: Mapping[str, Any]) -> str:
    return str(row.get("message") or "")
