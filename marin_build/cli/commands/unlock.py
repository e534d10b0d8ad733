"""`marin-build unlock`: show who holds a target, and take the lease away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from marin_build.operations.loading import Loaded
    from marin_build.operations.options import PipelineOptions


@click.command("unlock")
@click.argument("target")
@click.option("--force", is_flag=True, help="Remove a lease whose holder may live.")
@pipeline_options
def command(options: PipelineOptions, target: str, *, force: bool) -> int:
    """Remove the lease on a target whose holder died.

    Seldom needed: `apply` takes over by itself what nobody holds any more. A holder that lives
    and loses its lease cannot commit what it does.
    """
    from marin_build.operations.loading import load
    from marin_build.operations.plan import choose

    loaded = load(options)
    chosen = choose(loaded, [target])
    if len(chosen) != 1:
        raise UsageError(
            f"`{target}` stands for {len(chosen)} targets; one is unlocked at a time",
            consequence="nothing was removed",
        )
    return _unlock(loaded, chosen[0], force=force)


def _unlock(loaded: Loaded, index: int, *, force: bool) -> int:
    from marin_build.protocol.holder import is_abandoned
    from marin_build.protocol.layout import local_log_path
    from marin_build.protocol.look import look
    from marin_build.protocol.unlock import Unlocked, unlock

    target = loaded.targets.all[index]
    lease = look(loaded.store, target.output_path).lease

    done = unlock(
        loaded.store,
        target.output_path,
        target=target.id,
        who=loaded.host.worker,
        is_abandoned=lambda lease: is_abandoned(
            loaded.host, lease, local_log_path(target.output_path, target.id, lease)
        ),
        force=force,
    )
    if done is Unlocked.NONE_HELD or lease is None:
        click.echo(f"`{target.id}` is not locked")
    else:
        click.echo(f"unlocked `{target.id}`: it was held by {lease.describe()}")
    return 0
