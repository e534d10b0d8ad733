"""What `apply --detach` shows: the jobs that a queue has taken."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from marin_build.cli.terminal import echo
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.operations.building.detach import Handed


class DetachedView:
    """A line for each job, then what happens without us."""

    def handed(self, one: Handed) -> None:
        """Show a job."""
        verb = "found" if one.was_there else "submitted"
        echo(printable(f"  {verb:<9} {one.target}  {one.job}"))

    def finish(self, count: int, waiting: Sequence[str]) -> None:
        """Show what comes now; `waiting` names expansions whose steps have no jobs."""
        echo(f"{count} targets have jobs; this command does not wait for them")
        if waiting:
            echo(printable(f"no jobs yet: the steps of {', '.join(waiting)}, not known before"))
            echo("hint: marin-build apply goes on with them when these jobs are done")
        echo("hint: marin-build status shows what is built and what waits; apply follows the jobs")


class JsonView(DetachedView):
    """One JSON document a line."""

    def handed(self, one: Handed) -> None:
        """Show a job."""
        echo(json.dumps({"event": "job_handed", **asdict(one)}))

    def finish(self, count: int, waiting: Sequence[str]) -> None:
        """Show how many there are, and what has none."""
        echo(json.dumps({"event": "detached", "jobs": count, "waiting": list(waiting)}))


def detached_view(*, as_json: bool) -> DetachedView:
    """Return the view that the options ask for."""
    return JsonView() if as_json else DetachedView()
