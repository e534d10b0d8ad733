"""The dashboard of a Ray cluster, asked over HTTP: its REST API needs no package of Ray.

Source: Ray Jobs REST API and `ray/dashboard/modules` of 2.60, version 4 of the API.
"""

from __future__ import annotations

import os
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

from marin_build.engines.jobs import QueueAwayError
from marin_build.engines.ray.settings import (
    ADDRESS_VARIABLE,
    DEFAULT_ADDRESS,
    TOKEN_VARIABLE,
    check_address,
)
from marin_build.errors import UsageError
from marin_build.identity.secret import Secret, value_of
from marin_build.text.readable import printable
from marin_build.text.secret_shapes import masked_text
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.engines.ray.settings import RaySettings

_PATIENCE = 30.0
"""Seconds that one request may wait for the next bytes."""
_LARGEST_ANSWER = 256 << 20
"""Bytes of an answer: the table of jobs has up to 20 kB of words for each that failed."""
_LARGEST_REFUSAL = 1 << 16
_LONGEST = 300


class AnswerError(Exception):
    """The dashboard answered with an error.

    Args:
        status: of HTTP.
        reason: the last line of what it said, for people.
        text: all that it said.

    """

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status, self.reason, self.text = status, reason, text


class Dashboard:
    """The dashboard at an address.

    Args:
        address: its URL.
        headers: what each request carries, by name; secret.

    """

    def __init__(self, address: str, headers: Mapping[str, str]) -> None:
        self.address = address.rstrip("/")
        self._headers = headers
        self._opener = urllib.request.build_opener(_NoRedirects)

    def ask(
        self, method: str, path: str, body: bytes | None = None, patience: float = _PATIENCE
    ) -> Any:
        """Return the JSON that it answers.

        Args:
            method: of HTTP.
            path: on the dashboard, `/api/jobs/`.
            body: JSON to send.
            patience: seconds to wait for the next bytes.

        Raises:
            AnswerError: it answers with an error.
            QueueAwayError: it gives no answer, or none that is JSON.

        """
        headers = {**self._headers, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(  # noqa: S310 - the address was checked
            self.address + path, body, headers, method=method
        )
        try:
            with self._opener.open(request, timeout=patience) as answer:
                data = answer.read(_LARGEST_ANSWER + 1)
        except HTTPError as error:
            with error:
                raise _answer_error(error) from None
        except (OSError, HTTPException) as error:
            raise QueueAwayError(f"Ray gives no answer at {self.address}: {_why(error)}") from None
        if len(data) > _LARGEST_ANSWER:
            raise QueueAwayError(f"Ray's answer has more than {_LARGEST_ANSWER >> 20} MiB")
        try:
            return parse_json(data)
        except ValueError:
            raise QueueAwayError(f"what answers at {self.address} speaks no JSON") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: another server would get the token, and a POST would become a GET."""

    def redirect_request(self, *_: Any) -> None:
        """Say that there is no request to follow."""


def open_dashboard(settings: RaySettings) -> Dashboard:
    """Return the dashboard that the settings, or the environment, name; it is not asked yet.

    Raises:
        UsageError: there is no such address, or a secret is not there.

    """
    return Dashboard(address_of(settings), _headers_of(settings))


def address_of(settings: RaySettings) -> str:
    """Return the URL of the dashboard.

    Raises:
        UsageError: the environment names none.

    """
    if settings.address is not None:
        return settings.address
    if named := os.environ.get(ADDRESS_VARIABLE):
        check_address(ADDRESS_VARIABLE, named)
        return named
    return DEFAULT_ADDRESS


def _headers_of(settings: RaySettings) -> dict[str, str]:
    references = settings.secret_headers
    if settings.token is None and os.environ.get(TOKEN_VARIABLE):
        references.insert(0, ("Authorization", "Bearer ", f"env:{TOKEN_VARIABLE}"))
    found = {}
    for name, before, reference in references:
        value = value_of(Secret(reference).reference)
        if not value:
            raise UsageError(
                f"the secret `{reference}` is not there",
                facts=[("needed for", f"the header `{name}` of requests to Ray")],
                consequence="nothing was submitted",
                hint="set the variable, or write the file",
            )
        if not (value.isascii() and value.isprintable()):
            raise UsageError(f"the secret `{reference}` cannot stand in a header: it is no text")
        found[name] = before + value
    return found


def _answer_error(error: HTTPError) -> AnswerError:
    try:
        text = error.read(_LARGEST_REFUSAL).decode("utf-8", "replace")
    except (OSError, HTTPException):
        text = ""
    lines = [line.strip() for line in text.splitlines()]
    told = [line for line in lines if line.strip(".")]  # Ray ends a traceback with a lone dot
    reason = told[-1] if told else str(error.reason)
    return AnswerError(error.code, printable(masked_text(reason[:_LONGEST])), text)


def _why(error: BaseException) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return "it takes too long"
    said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return printable(said[:_LONGEST]).lower()
