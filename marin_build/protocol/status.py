"""The status file: one token, or a tombstone. Marin's older JSON lines are read too."""

from __future__ import annotations

from typing import Literal, get_args

from marin_build.errors import CorruptStateError
from marin_build.protocol.tombstone import parse_tombstone
from marin_build.untrusted_json import parse_json

Status = Literal["RUNNING", "SUCCESS", "FAILED", "DEP_FAILED", "LET_GO", "DELETING"]

STATUS_RUNNING: Status = "RUNNING"
STATUS_SUCCESS: Status = "SUCCESS"
STATUS_FAILED: Status = "FAILED"
STATUS_DEP_FAILED: Status = "DEP_FAILED"
STATUS_LET_GO: Status = "LET_GO"
"""It was built, and its data was deleted after its consumers were built: `temp=True`."""
STATUS_DELETING: Status = "DELETING"
"""`gc` deletes it, or died while it did: no data of it counts any more."""

_TOKENS: dict[bytes, Status] = {token.encode(): token for token in get_args(Status)}
_NEVER_RAN = frozenset({"WAITING", "UNKNOWN", "CANCELLED"})
"""What Marin's older form says of a step that was queued, and neither ended nor runs."""


def parse_status(data: bytes | None, path: str) -> Status | None:
    """Return the status in a file's bytes; None where there is no file, or nothing ever ran.

    An empty file says nothing: the machine went down before what was written was on its disk.
    Of a tombstone it is the status that it replaced: what was built still is.

    Raises:
        CorruptStateError: neither a token nor JSON lines with one.

    """
    if not data:
        return None
    token = _TOKENS.get(data)
    return token if token is not None else _parse_slowly(data, path)


def readable_status(data: bytes | None, path: str) -> Status | None:
    """Return the same as `parse_status`; None also where the file is not readable."""
    try:
        return parse_status(data, path)
    except CorruptStateError:
        return None


def _parse_slowly(data: bytes, path: str) -> Status | None:
    text = data.strip()
    if (token := _TOKENS.get(text)) is not None:
        return token
    try:
        if (tombstone := parse_tombstone(data)) is not None:
            return _TOKENS[tombstone.was.encode()]
        # The last line of JSON lines {"date", "status", "message"} is the newest.
        said = parse_json(text.splitlines()[-1])["status"]
        return None if said in _NEVER_RAN else _TOKENS[said.encode()]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        shown = data[:60].decode("utf-8", "replace")
        raise CorruptStateError(
            f"the status file `{path}` is not readable",
            facts=[("content", repr(shown))],
            consequence="it does not count as a finished target",
            hint="look at the output; write FAILED into the file to build it again",
        ) from None
