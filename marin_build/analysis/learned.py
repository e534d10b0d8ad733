"""What is known of a load once it was repeated: whether what it gave may be used in its place."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from marin_build.analysis.analysis_files import ENOUGH_REFUSALS, REFUSED, SEEN, UNSTEADY, USED
from marin_build.analysis.observations import NotKept, Observations
from marin_build.analysis.step_document import NotKeptError
from marin_build.untrusted_json import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marin_build.analysis.analysis_files import AnalysisFiles


def known_before(files: AnalysisFiles, key: str) -> Mapping[str, Any]:
    """Return what is known of an analysis; nothing if that cannot be read."""
    try:
        index = files.index(key)
        return {**index, "refusals": whole(index.get("refusals"))}
    except (OSError, ValueError):
        return {}


def today() -> str:
    """Return the day in this time zone; on another one, a load is repeated.

    A library may read the clock in compiled code, as parsers of dates do, and nothing tells of it.
    """
    return time.strftime("%Y-%m-%d")


def is_hopeless(before: Mapping[str, Any]) -> bool:
    """Return whether loads were refused, or gave something else, so often that more are in vain."""
    return before.get("state") == UNSTEADY or before.get("refusals", 0) >= ENOUGH_REFUSALS


def learned(
    before: Mapping[str, Any], found: Observations | NotKept | str, keep: Callable[[], str] | None
) -> dict[str, Any] | None:
    """Return what is known of an analysis after one more load; None: as much as before.

    Args:
        before: what was known.
        found: what the load looked at; or why that cannot be known; or why what it gave cannot be
            kept, whatever it looked at.
        keep: keeps what the load gave, and returns the name of its content, or raises
            NotKeptError; None: that was not prepared, because it seemed to be in vain.

    Raises:
        OSError: the project cannot be written to.

    """
    known: dict[str, Any]
    refusals = min(before.get("refusals", 0) + 1, ENOUGH_REFUSALS)
    if isinstance(found, NotKept) and found.passes:
        known = {"state": REFUSED, "why": found.words, "passes": True}
        return known | {"refusals": before.get("refusals", 0)}
    if isinstance(found, NotKept | str):
        why = found if isinstance(found, str) else found.words
        return {"state": REFUSED, "why": why, "refusals": refusals}
    both = _joined(before, found)
    if keep is None and both is not None:
        return None  # it would be refused for the same reason
    known = {
        "state": SEEN,
        "day": today(),
        "observed": (both or found).json_values(),
    }
    if keep is None:
        return known
    try:
        known["columns"] = keep()
    except NotKeptError as error:
        return {"state": REFUSED, "why": str(error), "refusals": refusals}
    if both is not None and "columns" in before:
        known["state"] = USED if before["columns"] == known["columns"] else UNSTEADY
    return known


def _joined(index: Mapping[str, Any], found: Observations) -> Observations | None:
    """Return what an earlier load and this one looked at; None if they saw something else."""
    try:
        return Observations.of_json(index["observed"]).joined(found)
    except (ValueError, KeyError, TypeError):
        return None
