"""plan.json: the plan as a document, without times, hosts and absolute places."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from marin_build.errors import StoppedError
from marin_build.identity.payload import HASH_ID_LENGTH, HASHED_NAME, fingerprint_of
from marin_build.plan.document_text import END, document_pieces, document_text
from marin_build.plan.plan_id import text_digest
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


PLAN_FILE = "plan.json"
PAGE_FILE = "graph.html"
SIGNATURE_FILE = "plan.json.sig"
"""What `ssh-keygen -Y sign` writes beside the plan; the plan cannot list it, as it lists itself."""
BUNDLE_FILE = "bundle.zip"
SCHEMA_VERSION = 1
REBUILT_ANYWAY = ("forced", "dev_version")
"""Kinds of reasons to build a built target that a replay cannot read from the store.

A cascade from such a target counts as one, too. `tainted` and `doubtful` are not among them: a
replay reads them from the store, and they end when a run has built the target again.
"""


_SEAL = re.compile(rb',\n "digest": "([0-9a-f]{64})"\n\}\n')
_SEAL_SIZE = len(b',\n "digest": ""\n}\n') + 64


def _as_text(payload: object) -> object:
    """Return the JSON value of a payload as the text that was hashed.

    Its keys have the order that they have there: keys that are numbers were put in order as such.
    """
    return json.dumps(payload) if isinstance(payload, dict) else payload


Payload = Annotated[str, BeforeValidator(_as_text)]
"""The canonical text that was hashed; in plan.json it is a JSON value, not a string.

It is a string there if it may hold NaN or an infinity, which strict readers of JSON refuse.
"""


_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionDocument:
    """The decision about one target. A dataclass, as there may be 100,000; checked when read."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    target: str
    output_path: str
    fingerprint: str
    decision: Literal["run", "reuse", "wait", "blocked", "pruned"]
    reasons: tuple[dict[str, Any], ...]
    drift: tuple[dict[str, Any], ...] = ()
    deps: tuple[str, ...]
    resources: str | None
    code_digest: str | None = None
    settings: dict[str, Any] | None = None
    declared: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class PrunedDocument:
    """A target that was not read; its name and fingerprint follow from the payload."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    target: str
    declared: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class ExpansionDocument:
    """An expansion whose steps the plan does not contain: they are not known yet."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    declared: str
    waits_for: tuple[str, ...]
    """The ids of the targets that must be built before its steps are known."""


class PlanDocument(BaseModel):
    """The whole plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    plan_id: str
    pipeline: str
    pipeline_digest: str = ""
    parameters: dict[str, str]
    prefix: str
    engine: str
    code: Literal["report", "rebuild", "ignore"] | None = None
    bundle: str | None = None
    """The bundle of code that its jobs load, `sha256:...`; the file beside it holds that."""
    requested: tuple[str, ...]
    summary: dict[str, int]
    decisions: tuple[DecisionDocument, ...]
    expansions: tuple[ExpansionDocument, ...] = ()
    """Of those that are asked for, the ones that wait; the text of a plan without any has none."""
    pruned: tuple[PrunedDocument, ...] = ()
    files: dict[str, str] = {}
    digest: str = ""

    def sealed_text(self, files: Mapping[str, str]) -> str:
        """Return the text of plan.json, with the digests of `files` (path -> text) and its own."""
        return "".join(self.sealed_pieces(files))

    def sealed_pieces(self, files: Mapping[str, str]) -> Iterator[str]:
        """Yield the text of `sealed_text` in pieces: it may have 50 MB."""
        digests = {path: text_digest(text) for path, text in sorted(files.items())}
        sealed, own = self.model_copy(update={"files": digests}), hashlib.sha256()
        for piece in document_pieces(sealed, leave_out=("digest",)):
            own.update(piece.encode())
            yield piece
        own.update(END.encode())
        yield f',\n "digest": "{own.hexdigest()}"{END}'

    @property
    def to_build(self) -> tuple[str, ...]:
        """The ids of the targets that a replay builds, dependencies first."""
        return tuple(d.target for d in self.decisions if d.decision in {"run", "wait"})

    def grown_by(self, later: PlanDocument) -> PlanDocument:
        """Return the plan of a run whose later part knows steps that this one did not know.

        What this plan had to build stays so, though the later one reuses it.
        """
        known = {each.target for each in self.decisions}
        decisions = (*self.decisions, *(d for d in later.decisions if d.target not in known))
        known.update(each.target for each in decisions)
        pruned = tuple(each for each in later.pruned if each.target not in known)
        counts: Counter[str] = Counter(each.decision for each in decisions)
        return later.model_copy(
            update={
                "plan_id": self.plan_id,
                "decisions": decisions,
                "pruned": pruned,
                "summary": {kind: counts[kind] for kind in self.summary} | {"pruned": len(pruned)},
            }
        )

    def shown_text(self) -> str:
        """Return the text that `plan --json` prints: without what only a saved plan has."""
        return document_text(self, leave_out=("pipeline_digest", "pruned", "files", "digest"))

    def misnamed(self) -> list[str]:
        """Return the targets whose fingerprint or hash id is not that of their payload."""
        wrong = [d.target for d in self.decisions if fingerprint_of(d.payload) != d.fingerprint]
        for pruned in self.pruned:
            hashed = HASHED_NAME.fullmatch(pruned.target)
            is_ours = hashed is None or len(hashed["hash_id"]) == HASH_ID_LENGTH
            hash_id = fingerprint_of(pruned.payload)[:HASH_ID_LENGTH]
            if "@" in pruned.target or not is_ours:  # no digits of the fingerprint are in it
                continue
            if not pruned.target.endswith(f"_{hash_id}"):
                wrong.append(pruned.target)
        return wrong


def is_intact(data: bytes, plan: PlanDocument) -> bool:
    """Return whether no byte of a plan.json was changed since it was written, not even a space.

    Args:
        data: the bytes of the file.
        plan: the plan in them; all its fingerprints must be those of its payloads.

    """
    seal = _SEAL.fullmatch(data[-_SEAL_SIZE:])
    if seal is None:
        return False
    own = hashlib.sha256(memoryview(data)[:-_SEAL_SIZE])
    own.update(END.encode())
    return own.hexdigest().encode() == seal[1] and not plan.misnamed()


def parse_plan(data: bytes, what: str) -> PlanDocument:
    """Return the plan in the bytes of a plan.json; `what` names it in errors.

    Raises:
        StoppedError: the bytes are no JSON, or have an unknown schema version.
        ValidationError: a field is missing, unknown or of a wrong type.

    """
    try:
        document = parse_json(data)
    except ValueError as error:
        raise unreadable(what, error) from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise StoppedError(
            f"{what} has the schema version {version!r}",
            facts=[("known here", str(SCHEMA_VERSION))],
            consequence="nothing was run",
            hint="make the plan again with this version of marin-build",
        )
    return PlanDocument.model_validate(document)


def unreadable(what: str, error: Exception, hint: str | None = None) -> StoppedError:
    """Return the error for a plan that cannot be read; `what` names it."""
    return StoppedError(
        f"{what} cannot be read",
        facts=[("reason", str(error))],
        consequence="nothing was run",
        hint=hint,
    )
