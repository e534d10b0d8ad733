"""Errors of remote stores in our own words: short, and never with a secret."""

from __future__ import annotations

import re

from marin_build.errors import StoreAwayError, StoreError

_LONGEST = 200
_DENIED, _MISSING = frozenset({401, 403}), 404
_BUSY, _SERVERS_FAULT = frozenset({408, 429}), 500
# Signed URLs carry their signature in the query; connection strings and headers name their secrets.
_QUERY = re.compile(r"\?\S+")
_SECRET = re.compile(
    r"(?i)\b([\w-]*(?:key|signature|sig|token|secret|password|credential|authorization)[\w-]*)"
    r"(\s*[=:]\s*)(?:Bearer\s+|Basic\s+)?[^\s;,&]+"
)


def remote_error(
    verb: str, path: str, error: BaseException, *, login: str | None = None
) -> StoreError:
    """Return the error to raise for what a client library raised.

    Args:
        verb: what was tried, e.g. `read`.
        path: the URL it was tried on.
        error: what the library raised.
        login: the hint if the store does not let us in.

    """
    if isinstance(error, StoreError):
        return error
    if is_denied(error):
        return StoreError(
            f"cannot {verb} `{path}`: permission denied",
            facts=[("reason", _reason(error))],
            hint=login,
        )
    if isinstance(error, FileNotFoundError) or status_of(error) == _MISSING:
        bucket = path.partition("://")[2].partition("/")[0]
        return StoreError(
            f"cannot {verb} `{path}`: there is no bucket `{bucket}`",
            hint="correct its name in the prefix, or make the bucket",
        )
    kind = StoreAwayError if _may_pass(error) else StoreError
    return kind(f"cannot {verb} `{path}`", facts=[("reason", _reason(error))])


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status a client library's error tells of."""
    response = getattr(error, "response", None)
    found = (
        response.get("ResponseMetadata", {}).get("HTTPStatusCode")  # botocore
        if isinstance(response, dict)
        else getattr(error, "status_code", None) or getattr(error, "code", None)  # azure, gcsfs
    )
    return found if isinstance(found, int) else None


def is_denied(error: BaseException) -> bool:
    """Return whether the store does not let us in, or not to that."""
    return (
        isinstance(error, PermissionError)
        or str(error).startswith("Forbidden")  # an OSError of gcsfs
        or status_of(error) in _DENIED
        or type(error).__name__ in {"NoCredentialsError", "DefaultCredentialsError"}
    )


def _may_pass(error: BaseException) -> bool:
    """Return whether the same request may be answered later: no status at all, or a busy one."""
    status = status_of(error)
    return status is None or status in _BUSY or status >= _SERVERS_FAULT


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and lines[0].startswith("Forbidden") and len(lines) > 1:
        lines = lines[1:]  # the first one is only the address
    text = lines[0] if lines else type(error).__name__
    text = _SECRET.sub(r"\1\2...", _QUERY.sub("?...", text))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
