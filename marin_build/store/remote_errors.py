"""Errors of remote stores in our own words: short, and never with a secret."""

from __future__ import annotations

import re

from marin_build.errors import StoreAwayError, StoreDeniedError, StoreError

_LONGEST = 200
_DENIED, _MISSING = frozenset({401, 403}), 404
_BUSY, _SERVERS_FAULT = frozenset({408, 429}), 500
_NO_LOGIN = frozenset(
    {
        "PermissionError",
        # botocore
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "TokenRetrievalError",
        "NoAuthTokenError",
        "SSOError",
        "LoginError",
        # google-auth
        "DefaultCredentialsError",
        "RefreshError",
        # azure-core, azure-identity
        "ClientAuthenticationError",
    }
)
"""Errors of client libraries that have no login to send, or whose login is not accepted."""
_OLD_LOGIN = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidToken",
        "RequestExpired",
        "TokenRefreshRequired",
    }
)
"""Codes of S3 about credentials, which have the status 400 as well."""
_BROKEN = frozenset(
    {
        "ClientPayloadError",
        "ContentDecodingError",
        "IncompleteReadError",
        "JSONDecodeError",
        "ResponseParserError",
        "ResponseStreamingError",
    }
)
"""Errors of client libraries about an answer that ended early, or that is none."""
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
        return StoreDeniedError(
            f"cannot {verb} `{path}`: permission denied",
            facts=[("reason", _reason(error))],
            hint=login,
        )
    is_missing = isinstance(error, FileNotFoundError) or status_of(error) == _MISSING
    if is_missing and not _is_unexplained(error):
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
        status_of(error) in _DENIED
        or str(error).startswith("Forbidden")  # an OSError of gcsfs
        or _code_of(error) in _OLD_LOGIN
        or (_is_one_of(error, _NO_LOGIN) and not getattr(error, "retryable", False))
    )


def is_broken(error: BaseException) -> bool:
    """Return whether an answer came that is not whole: libraries do not all ask again then."""
    return _is_one_of(error, _BROKEN)


def _is_one_of(error: BaseException, names: frozenset[str]) -> bool:
    """Return whether an error is of a class of these names, without importing the libraries."""
    return any(kind.__name__ in names for kind in type(error).__mro__)


def _may_pass(error: BaseException) -> bool:
    """Return whether the same request may be answered later: no status at all, or a busy one."""
    status = status_of(error)
    is_refused = status is not None and status not in _BUSY and status < _SERVERS_FAULT
    return not is_refused or _is_unexplained(error)


def _is_unexplained(error: BaseException) -> bool:
    """Return whether the status is all that botocore could read of an answer."""
    return _code_of(error) == str(status_of(error))


def _code_of(error: BaseException) -> str:
    """Return the code in the body of an answer of S3; empty for other errors."""
    response = getattr(error, "response", None)
    said = response.get("Error", {}) if isinstance(response, dict) else {}
    return str(said.get("Code", ""))


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and lines[0].startswith("Forbidden") and len(lines) > 1:
        lines = lines[1:]  # the first one is only the address
    text = lines[0] if lines else type(error).__name__
    text = _SECRET.sub(r"\1\2...", _QUERY.sub("?...", text))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
