"""`.accepted.json`: a person says that the code of now would have built the same output.

It speaks of one build, named by the run in its record: another build makes it void.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from marin_build.errors import StoreError
from marin_build.protocol import layout
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from marin_build.store.base import Blob, Store


_TRIES = 5


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AcceptedEnvironment(_Document):
    """The environment that was in force; null: it was not known."""

    python: str | None = None
    distributions: dict[str, str] | None = None
    locks: dict[str, str] | None = None
    image: str | None = None
    variables: dict[str, str] | None = None


class Acceptance(_Document):
    """One statement of one person that new code makes no difference.

    Args:
        code_digest: of the step's code at that time.
        upstream: digest of the code that had then built what it needs; null: not known.
        environment: of that time.
        reason: why it makes no difference.
        by, at: who, and when in UTC.

    """

    code_digest: str | None
    upstream: str | None = None
    environment: AcceptedEnvironment
    reason: str
    by: str
    at: str


class AcceptedDocument(_Document):
    """All that was accepted for one build: target, fingerprint, run and code of its record."""

    schema_version: Literal[1] = 1
    target: str
    fingerprint: str
    run: str
    code_digest: str | None
    accepted: tuple[Acceptance, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the document as JSON."""
        return (json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n").encode()


def read_accepted(blob: Blob | None, *, fingerprint: str, run: str) -> tuple[Acceptance, ...]:
    """Return what was accepted for a build, the latest last.

    Nothing, if the document is not there, is not readable, or speaks of another build.
    """
    if blob is None:
        return ()
    try:
        document = AcceptedDocument.model_validate(parse_json(blob.data))
    except ValueError:
        return ()
    return document.accepted if (document.fingerprint, document.run) == (fingerprint, run) else ()


def write_accepted(
    store: Store, output: str, build: AcceptedDocument, acceptance: Acceptance
) -> None:
    """Add to what was accepted for a build; acceptances of another build are replaced.

    Args:
        store: where the output lives.
        output: the output path.
        build: the build, with nothing accepted.
        acceptance: what is added.

    Raises:
        StoreError: it cannot be written, or other programs keep writing it.

    """
    path = f"{output}/{layout.ACCEPTED}"
    for _ in range(_TRIES):
        blob = store.get(path)
        before = read_accepted(blob, fingerprint=build.fingerprint, run=build.run)
        if acceptance in before:  # our own write, whose reply was lost
            return
        data = build.model_copy(update={"accepted": (*before, acceptance)}).to_bytes()
        written = (
            store.put_if_absent(path, data)
            if blob is None
            else store.replace_if(path, data, blob.version)
        )
        if written is not None:
            return
    raise StoreError(
        f"another program writes `{path}` all the time",
        consequence="nothing more was accepted",
        hint="try again",
    )
