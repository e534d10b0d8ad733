"""`marin-build accept`: the code of today would have built the same; somebody says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.observe.read_drift import Drifted
    from marin_build.operations.loading import Loaded
    from marin_build.operations.options import PipelineOptions
    from marin_build.plan.decisions import Plan


@click.command("accept")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option("--reason", required=True, help="Why the difference does not matter.")
@pipeline_options
def command(options: PipelineOptions, targets: tuple[str, ...], reason: str) -> int:
    """Record that the code and environment of today are as good as those that built a target.

    TARGET is as for `plan`. The drift is listed before it is accepted, and no plan reports it any
    more, until the code or the environment changes again, or the target is built again.
    """
    from marin_build.observe.read_drift import find_drift
    from marin_build.operations.loading import chosen_engine, environments_for, load
    from marin_build.operations.plan import plan_for

    if not reason.strip():
        raise UsageError("the reason is empty", consequence="nothing was accepted")
    loaded = load(options)
    engine = chosen_engine(loaded, options)
    plan = plan_for(loaded, targets)
    _check_built(plan)
    found = find_drift(loaded.store, plan, environments_for(loaded, engine))
    chosen = sorted(plan.requested)
    for index in chosen:
        name = plan.targets.all[index].id
        if index in found.drifted:
            click.echo(f"{name}  {found.drifted[index].drift.text}")
        elif index in found.drift:
            click.echo(f"{name}  {found.drift[index].text}: another identity is not accepted")
        else:
            click.echo(f"{name}  no drift: nothing to accept")
    drifted = {index: found.drifted[index] for index in chosen if index in found.drifted}
    _write(loaded, drifted, reason)
    if drifted:
        click.echo(f"accepted {len(drifted)} target{'s' if len(drifted) != 1 else ''}: {reason}")
    return 0


def _check_built(plan: Plan) -> None:
    """Refuse targets that are not built: there is no output whose code could be accepted."""
    from marin_build.plan.decisions import Kind
    from marin_build.plan.reasons import SealedBefore

    asked = set(plan.requested)
    missing = [
        plan.targets.all[d.index].id
        for d in plan.decisions
        if d.index in asked and (d.kind is not Kind.REUSE or isinstance(d.reason, SealedBefore))
    ]
    if missing:
        raise UsageError(
            "what is not built cannot be accepted",
            facts=[("not built", "\n".join(missing[:10]))],
            consequence="nothing was accepted",
            hint="marin-build plan shows why",
        )


def _write(loaded: Loaded, drifted: dict[int, Drifted], reason: str) -> None:
    from marin_build.identity.code.digest import code_digest
    from marin_build.protocol.acceptance import (
        Acceptance,
        AcceptedDocument,
        AcceptedEnvironment,
        write_accepted,
    )
    from marin_build.protocol.held_target import stamp

    at = stamp(datetime.now(UTC))
    for index, it in drifted.items():
        target, now = loaded.targets.all[index], it.environment
        write_accepted(
            loaded.store,
            target.output_path,
            AcceptedDocument(
                target=target.id,
                fingerprint=it.built.fingerprint,
                run=it.built.run,
                code_digest=it.built.code_digest,
            ),
            Acceptance(
                code_digest=code_digest(target.step.fn) if target.step.fn is not None else None,
                upstream=it.upstream,
                environment=AcceptedEnvironment(
                    python=now.python,
                    distributions=_dict(now.distributions),
                    locks=_dict(now.locks),
                    image=now.image,
                ),
                reason=reason,
                by=loaded.host.worker,
                at=at,
            ),
        )


def _dict(table: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if table is None else dict(table)
