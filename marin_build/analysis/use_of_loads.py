"""Whether an earlier load is used in place of one, and if not why, in words.

Each text stands after the name of the pipeline: "`pipeline.py` is loaded: `helper.py` changed".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.analysis.analysis_files import REFUSED, SEEN, UNSTEADY, USED
from marin_build.analysis.learned import today
from marin_build.analysis.observations import Observations
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_LOADED = "is not loaded: nothing has changed that earlier loads of it looked at"
SWITCHED_OFF = "is loaded: `--no-analysis-cache` says so, or the setting `analysis_cache`"
_NONE_KEPT = "is loaded: no earlier load of it is kept"


def use_in_words(index: Mapping[str, Any]) -> str:
    """Return what is known of a pipeline, as long as nothing changes that its loads looked at.

    Args:
        index: what is known of its analysis.

    """
    match index.get("state"):
        case state if state == USED:
            return "is not loaded again while nothing changes that it looks at"
        case state if state == REFUSED:
            each_time = "" if index.get("passes") is True else " each time"
            return f"is loaded{each_time}: {printable(str(index.get('why')))}"
        case state if state == UNSTEADY:
            return "is loaded each time: it declares something else each time"
        case state if state == SEEN:
            return "was loaded once: a second load must give the same"
    return _NONE_KEPT


def why_loaded(index: Mapping[str, Any], given: Mapping[str, str]) -> str | None:
    """Return why a pipeline has to be loaded; None if earlier loads gave what another would give.

    Args:
        index: what is known of its analysis.
        given: what a load would be given now.

    Raises:
        ValueError: what is known is damaged.

    """
    if index.get("state") not in (USED, SEEN):
        return use_in_words(index)
    if (change := Observations.of_json(index.get("observed")).first_change(given)) is not None:
        return f"is loaded: {change}"
    if index.get("day") != today():
        return "is loaded: it was loaded last on another day"
    return None if index["state"] == USED else use_in_words(index)


def cannot_be_kept(error: OSError) -> str:
    """Return that a project cannot be written to."""
    return f"is loaded each time: its project cannot be written to ({error.strerror or error})"
