"""What a record says, read without models: whoever only asks need not import pydantic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def record_of_ours(data: bytes) -> Mapping[str, Any]:
    """Return a record of marin-build as JSON values; empty for anything else."""
    try:
        document = json.loads(data)
        ours = str(document.get("executor_version", "")).startswith("marin_build/")
    except (ValueError, AttributeError):
        return {}
    return document if ours else {}


def adopted_from(data: bytes) -> str | None:
    """Return where data lies that was registered as an output; None if the output was built.

    Args:
        data: the bytes of a record, ours or Marin's.

    """
    place = record_of_ours(data).get("adopted_from")
    return place if isinstance(place, str) else None
