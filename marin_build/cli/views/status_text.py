"""How targets stand, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from marin_build.cli.views.status_rows import folded, rows_of
from marin_build.standing import State, counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.cli.views.status_rows import Row
    from marin_build.fingerprint import Targets
    from marin_build.protocol.lease import Host, Lease
    from marin_build.snapshot import LastAttempt
    from marin_build.standing import Standing

_COLOURS = {
    State.RUNNING: "cyan",
    State.GONE: "yellow",
    State.FAILED: "red",
    State.UNREADABLE: "red",
    State.CUT_SHORT: "yellow",
    State.DOUBTFUL: "yellow",
    State.BUILT: "green",
}
_SCHEMA_VERSION = 1


def show_status(
    targets: Targets, standings: Mapping[int, Standing], host: Host, now: float, *, verbose: bool
) -> None:
    """Print a line for each target, or for several that say the same, and how many there are.

    Args:
        targets: the pipeline's targets.
        standings: how they stand, by index.
        host: this machine.
        now: seconds since the epoch.
        verbose: fold nothing.

    """
    rows = rows_of(targets, standings, host, now)
    shown = rows if verbose else folded(rows)
    width = max((len(row.state.value) for row in shown), default=0)
    longest = max((len(_name(row)) for row in shown), default=0)
    for row in shown:
        state = click.style(row.state.value.ljust(width), fg=_COLOURS.get(row.state))
        click.echo(f"{state}  {_name(row):<{longest}}  {row.text}".rstrip())
    parts = [f"{count} {state.value}" for state, count in counts(standings).items() if count]
    many = f"{len(standings)} target{'s' if len(standings) != 1 else ''}"
    click.echo(f"{many}: {', '.join(parts)}")


def _name(row: Row) -> str:
    return row.target if row.targets == 1 else f"{row.target} ({row.targets} targets)"


def status_json(targets: Targets, standings: Mapping[int, Standing]) -> dict[str, Any]:
    """Return what `--json` says."""
    return {
        "schema_version": _SCHEMA_VERSION,
        "prefix": targets.workspace.prefix,
        "summary": {_word(state): count for state, count in counts(standings).items()},
        "targets": [
            {
                "name": targets.all[index].name,
                "target": targets.all[index].id,
                "output_path": targets.all[index].output_path,
                "state": _word(standing.state),
                "held_by": _lease_json(standing.lease),
                "left_running": standing.left_running,
                "failure": _failure_json(standing.last),
                "unreadable": standing.damage.path if standing.damage is not None else None,
            }
            for index, standing in standings.items()
        ],
    }


def _word(state: State) -> str:
    return state.value.replace(" ", "_")


def _lease_json(lease: Lease | None) -> dict[str, Any] | None:
    if lease is None:
        return None
    return {
        "worker": lease.worker,
        "run": lease.run,
        "attempt": lease.attempt,
        "since": lease.taken_at or None,
        "renewed": lease.written_at,
        "time_to_live": lease.time_to_live,
    }


def _failure_json(last: LastAttempt | None) -> dict[str, Any] | None:
    if last is None:
        return None
    return {
        "attempt": last.attempt,
        "exit_code": last.exit_code,
        "end": last.end,
        "worker": last.worker,
        "message": last.message,
    }
