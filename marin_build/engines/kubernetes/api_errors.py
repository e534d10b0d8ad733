"""What a Kubernetes server, or the way to it, says when it does not do what was asked. Pure.

Source: `Status` of the API (meta/v1), whose `details.causes` name the fields that are wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.engines.jobs import JobRefusedError, QueueAwayError
from marin_build.text.readable import printable
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from marin_build.errors import MarinBuildError

DENIED, FORBIDDEN, MISSING, CONFLICT, EXPIRED = 401, 403, 404, 409, 410
_BUSY, _SERVERS_FAULT = {408, 425, 429}, 500
_QUOTA = "exceeded quota"
_NOBODY = '"system:anonymous"'
_LONGEST, _SHOWN_CAUSES = 400, 5


class ApiError(Exception):
    """An answer that is no success.

    Args:
        status: of HTTP; 0: there was no answer.
        reason: the server's words, fit for a terminal.
        causes: field and problem, for each field that is wrong.

    """

    def __init__(self, status: int, reason: str, causes: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.status, self.reason, self.causes = status, reason, causes

    @property
    def is_about_login(self) -> bool:
        """Whether credentials have ended, or none were sent: those of a later moment may do."""
        return self.status == DENIED or (self.status == FORBIDDEN and _NOBODY in self.reason)


def read_error(status: int, body: bytes | str | None, fallback: str) -> ApiError:
    """Return the error that an answer tells of.

    Args:
        status: of HTTP.
        body: a `Status` as JSON, or what something on the way to the server has answered.
        fallback: the words of the status line.

    """
    try:
        read = parse_json(body.encode() if isinstance(body, str) else body or b"")
    except ValueError:
        read = None
    said: dict[str, Any] = read if isinstance(read, dict) else {}
    details = said.get("details")
    found = details.get("causes") if isinstance(details, dict) else None
    causes = tuple(
        _short(f"{each.get('field', '')}: {each.get('message', '')}".removeprefix(": "))
        for each in (found if isinstance(found, list) else ())
        if isinstance(each, dict)
    )
    return ApiError(status, _short(str(said.get("message") or fallback)), causes[:_SHOWN_CAUSES])


def away(error: ApiError) -> QueueAwayError:
    """Return the error about a server from which nothing is known now."""
    if error.is_about_login:
        return QueueAwayError(
            "the cluster does not accept our login",
            facts=[("reason", error.reason)],
            hint="log in again, as for kubectl; credentials are read again each time",
        )
    return QueueAwayError("the cluster gives no answer", facts=[("reason", error.reason)])


def refusal(error: ApiError, name: str) -> MarinBuildError:
    """Return what follows from a refused submit: no later try would do better, or one may.

    Args:
        error: what the server said.
        name: of the job.

    """
    if error.is_about_login or _may_pass(error):
        return away(error)
    hint = None
    if error.status == FORBIDDEN:
        hint = f"kubectl auth can-i create jobs: the role needs it to submit {name}"
    reasons = "; ".join(error.causes) or error.reason
    return JobRefusedError(f"the cluster refuses it: {reasons}", hint=hint)


def _may_pass(error: ApiError) -> bool:
    """Return whether the same request may be taken later."""
    is_full = error.status == FORBIDDEN and _QUOTA in error.reason
    return error.status in _BUSY or not 0 < error.status < _SERVERS_FAULT or is_full


def _short(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
