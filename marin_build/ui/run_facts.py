"""What a page says of a run, as JSON values. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from marin_build.text.moments import moment_text, stamp
from marin_build.text.readable import printable, shortened

if TYPE_CHECKING:
    from marin_build.operations.runs.kept_runs import KeptRun
    from marin_build.ui.followed_run import Seen

_LONGEST_COMMAND = 300
_LONGEST_SAID = 1000


def row_facts(run: KeptRun, now: float) -> dict[str, Any]:
    """Return what a list of runs says of one.

    Args:
        run: the run.
        now: seconds since the epoch.

    """
    counts = run.summary.counts if run.summary is not None else {}
    is_known = run.known_from == "journal"
    return {
        "id": run.id,
        "outcome": run.outcome,
        "why": printable(run.why),
        "is_over": run.is_over,
        "began": moment_text(run.start, "minutes"),
        "seconds": _seconds(run, now) if is_known else None,
        "counts": {name: count for name, count in counts.items() if count},
        "by": printable(run.by),
        "command": printable(shortened(run.command, _LONGEST_COMMAND)),
    }


def run_facts(seen: Seen, now: float) -> dict[str, Any]:
    """Return what the page of a run says of it.

    Args:
        seen: what the last look showed.
        now: seconds since the epoch.

    """
    run = seen.run
    to_build = run.summary.to_build if run.summary is not None else None
    return {
        **row_facts(run, now),
        "began": moment_text(run.start),
        # The totals of a run count as reused, too, what was built before it.
        "counts": dict(Counter(each.outcome for each in run.targets)),
        "to_build": to_build + seen.expanded if to_build is not None else None,
        "last_sign": _last_sign(run),
        "is_here": seen.is_here,
        "expansions": seen.expansions,
        "said": [printable(shortened(text, _LONGEST_SAID)) for text in seen.said],
        "pid": run.pid,
        "commit": (run.commit or "")[:12] + (", with changes" if run.is_dirty else ""),
    }


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _seconds(run: KeptRun, now: float) -> float | None:
    """Return how long a run took, or takes so far; of one elsewhere by the clocks of both."""
    known, start = run.seconds, _moment(run.start)
    if run.outcome != "running" or start is None:
        return known
    return max(known or 0.0, now - start.timestamp())


def _last_sign(run: KeptRun) -> str:
    """Return when the last event was, as far as the journal goes, by the clock of the run."""
    start = _moment(run.start)
    if start is None or run.seconds is None:
        return ""
    try:
        return moment_text(stamp(start + timedelta(seconds=run.seconds)))
    except OverflowError:
        return ""
