"""What `apply --detach` shows: the jobs that a queue has taken."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from marin_build.cli.terminal import echo
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from marin_build.operations.detach import Handed


class DetachedView:
    """A line for each job, then what happens without us."""

    def handed(self, one: Handed) -> None:
        """Show a job."""
        verb = "found" if one.was_there else "submitted"
        echo(printable(f"  {verb:<9} {one.target}  {one.job}"))

    def finish(self, count: int) -> None:
        """Show what comes now."""
        echo(f"{count} targets have jobs; this command does not wait for them")
        echo("hint: marin-build status shows what is built and what waits; apply follows the jobs")


class JsonView(DetachedView):
    """One JSON document a line."""

    def handed(self, one: Handed) -> None:
        """Show a job."""
        echo(json.dumps({"event": "job_handed", **asdict(one)}))

    def finish(self, count: int) -> None:
        """Show how many there are."""
        echo(json.dumps({"event": "detached", "jobs": count}))


def detached_view(*, as_json: bool) -> DetachedView:
    """Return the view that the options ask for."""
    return JsonView() if as_json else DetachedView()
