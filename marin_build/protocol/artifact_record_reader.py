"""The reader of records that Marin wrote for artifacts with a version, as our own records are read.

What such a record fingerprints is the recipe that a step with a version has, too. So the plan of a
bucket that Marin filled can tell what is reused, and what changed since.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marin_build.errors import CorruptStateError
from marin_build.identity.payload import fingerprint_of, payload_text
from marin_build.pipeline.recipe import attributes_of_recipe
from marin_build.protocol.record_reader import Built
from marin_build.text.moments import stamp
from marin_build.untrusted_json import parse_json, table, text, text_or_none

_WRITER = "with Marin"


def parse_artifact_record(
    data: bytes, place: str, declared: str = "", recipe_fingerprint: str = ""
) -> Built | None:
    """Return what a record says; None where it fingerprints nothing.

    Args:
        data: its bytes.
        place: where it lies.
        declared: the fingerprint of the target; the payload is kept where another one was built.
        recipe_fingerprint: the one that Marin gives the target: older records hold only that.

    Raises:
        CorruptStateError: it is damaged.

    """
    try:
        document = parse_json(data)
        return _built(document, declared, recipe_fingerprint) if _has_recipe(document) else None
    except (ValueError, KeyError, TypeError):
        raise CorruptStateError(
            f"the record `{place}` is not readable",
            facts=[("perhaps", "it is damaged, or of a newer Marin")],
            hint="delete it to use the output without its history, or the folder to build it again",
        ) from None


def _has_recipe(document: Any) -> bool:
    return isinstance(document, Mapping) and bool(document.get("fingerprint"))


def _built(document: Mapping[str, Any], declared: str, recipe_fingerprint: str) -> Built:
    recorded, recipe = text(document["fingerprint"]), document.get("fingerprint_payload")
    name, version = text(document.get("name", "")), text(document.get("version", ""))
    payload = None
    if recipe is not None:
        deps = [text(dep) for dep in document.get("deps") or ()]
        payload = payload_text(name, attributes_of_recipe(text(recipe)), deps)
        recorded = fingerprint_of(payload)
    elif recorded == recipe_fingerprint:
        recorded = declared
    launch = table(document.get("provenance") or {})
    who = text_or_none(launch.get("built_by"))
    return Built(
        recorded,
        "",
        f"{who} {_WRITER}" if who else _WRITER.removeprefix("with "),
        _moment(launch.get("created_at")),
        payload=payload if recorded != declared else None,
        target=f"{name}@{version}",
    )


def _moment(written: object) -> str:
    """Return a moment as our documents write it; empty if it is none. Without a zone: UTC."""
    try:
        moment = datetime.fromisoformat(str(written or ""))
    except ValueError:
        return ""
    return stamp(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
