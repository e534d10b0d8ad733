"""The Cloud TPU API v2, asked over REST with the credentials of google-auth.

Source: the API's discovery document. The variables are those of gcloud, so that both reach the same
server in the same way.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from marin_build.engines.jobs import QueueAwayError
from marin_build.errors import UsageError
from marin_build.text.readable import printable
from marin_build.text.secret_shapes import masked_text
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDPOINT_VARIABLE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU"
NO_CREDENTIALS_VARIABLE = "CLOUDSDK_AUTH_DISABLE_CREDENTIALS"
DEFAULT_ENDPOINT = "https://tpu.googleapis.com/"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_PATIENCE = 30.0
"""Seconds that one request may wait for the next bytes."""
_MOST_PAGES = 1000
_LONGEST = 300


class AnswerError(Exception):
    """The API answered with an error.

    Args:
        code: of HTTP.
        reason: what it said, for people.

    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code, self.reason = code, reason


class TpuApi:
    """The API for one project and zone.

    Args:
        session: sends requests, with credentials: `requests.Session`.
        endpoint: the URL of the server.
        parent: `projects/P/locations/Z`.

    """

    def __init__(self, session: Any, endpoint: str, parent: str) -> None:
        self._session, self._base = session, f"{endpoint.rstrip('/')}/v2/{parent}/"

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        patience: float = _PATIENCE,
    ) -> dict[str, Any]:
        """Return the object that it answers.

        Args:
            method: of HTTP.
            path: below the project and the zone, `queuedResources`.
            query: of the URL.
            body: sent as JSON.
            patience: seconds to wait for the next bytes.

        Raises:
            AnswerError: it answers with an error.
            QueueAwayError: it gives no answer, or none that is an object of JSON.

        """
        import requests
        from google.auth.exceptions import GoogleAuthError

        url = self._base + quote(path, safe="/:") + (f"?{urlencode(query)}" if query else "")
        try:
            answer = self._session.request(
                method, url, json=body, timeout=patience, allow_redirects=False
            )
        except GoogleAuthError as error:
            raise QueueAwayError(f"Google Cloud gives no access token: {_told(error)}") from None
        except requests.RequestException as error:
            raise QueueAwayError(f"the Cloud TPU API gives no answer: {_told(error)}") from None
        try:
            said = parse_json(answer.content)
        except ValueError:
            said = None
        if answer.status_code >= 300:  # noqa: PLR2004 - a redirect would take the token along
            raise AnswerError(answer.status_code, _reason(said) or str(answer.reason))
        if not isinstance(said, dict):
            raise QueueAwayError("what answers in place of the Cloud TPU API speaks no JSON")
        return said

    def list(self, what: str, patience: float = _PATIENCE) -> list[dict[str, Any]]:
        """Return all `queuedResources`, or all `nodes`, of the project in the zone.

        Raises:
            AnswerError, QueueAwayError: see `ask`.

        """
        found: list[dict[str, Any]] = []
        query = {"pageSize": "1000"}
        for _ in range(_MOST_PAGES):
            said = self.ask("GET", what, query, patience=patience)
            rows = said.get(what, [])
            if not isinstance(rows, list):
                raise QueueAwayError(f"the Cloud TPU API lists {what} in no form that is known")
            found += [row for row in rows if isinstance(row, dict)]
            if not (token := said.get("nextPageToken")):
                return found
            query["pageToken"] = str(token)
        raise QueueAwayError(f"the Cloud TPU API lists {what} without an end")


def open_api(parent: str) -> TpuApi:
    """Return the API that the environment names; it is not asked yet.

    Raises:
        UsageError: there are no credentials, or the environment names no server.

    """
    endpoint = os.environ.get(ENDPOINT_VARIABLE) or DEFAULT_ENDPOINT
    _check_endpoint(endpoint)
    return TpuApi(_session(), endpoint, parent)


def _session() -> Any:
    import requests

    if os.environ.get(NO_CREDENTIALS_VARIABLE, "").lower() in {"1", "true", "yes", "on"}:
        return requests.Session()
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession

    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
    except GoogleAuthError as error:
        raise UsageError(
            "there are no credentials for Google Cloud",
            facts=[("reason", _told(error))],
            consequence="nothing was submitted",
            hint="gcloud auth application-default login",
        ) from None
    return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]


def _check_endpoint(endpoint: str) -> None:
    """Refuse a server to which the token would go where others can read it."""
    parts = urlsplit(endpoint)
    is_here = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_here)
    if not parts.hostname or not is_safe or parts.username is not None:
        raise UsageError(
            f"{ENDPOINT_VARIABLE} names no server of the Cloud TPU API",
            consequence="nothing was submitted",
            hint=f"unset it, or give a URL such as {DEFAULT_ENDPOINT}",
        )


def _reason(said: Any) -> str:
    """Return the message in an error of Google's APIs; empty if there is none."""
    error = said.get("error") if isinstance(said, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return printable(masked_text(str(message)[:_LONGEST])) if message else ""


def _told(error: BaseException) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return "it takes too long"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return printable(masked_text(str(error)[:_LONGEST]))
