"""`marin-build taint`: have what is built, but bad, built again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from marin_build.cli.again import command_line
from marin_build.cli.options import PipelineOptions, pipeline_options
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.cli.session import Loaded
    from marin_build.plan import Plan
    from marin_build.snapshot import Taint


@click.command("taint")
@click.argument("targets", nargs=-1, required=True)
@click.option("--reason", metavar="TEXT", help="Why it is bad; every plan will say so.")
@click.option("--undo", is_flag=True, help="Take the marks away again.")
@click.option("--dry-run", is_flag=True, help="Only list what would be built again.")
@pipeline_options
def command(
    options: PipelineOptions,
    targets: tuple[str, ...],
    reason: str | None,
    *,
    undo: bool,
    dry_run: bool,
) -> int:
    """Mark built targets, and all built ones that were made from them, as bad.

    What will be built again is listed first. Nothing is deleted and nothing is run: the next apply
    that is asked for a marked target builds it. A mark ends when its target is built again.
    """
    from datetime import UTC, datetime

    from marin_build.cli.choosing import choose
    from marin_build.cli.session import load
    from marin_build.snapshot import Taint

    loaded = load(options)
    chosen = choose(loaded, targets)
    if undo:
        return _undo(loaded, chosen)
    if not reason or not reason.strip():
        raise UsageError(
            "a taint needs a reason: others will ask",
            consequence="nothing was marked",
            hint='--reason "trained on the wrong dump"',
        )
    taint = Taint(reason.strip(), loaded.host.worker, datetime.now(UTC).isoformat("T", "seconds"))
    plan, condemned = _condemned(loaded, chosen, taint)
    again = (
        "to build it again",
        command_line(
            "apply", options, [loaded.targets.all[index].name for index in _ends(loaded, condemned)]
        ),
    )
    _list(loaded, plan, condemned, again)
    if not dry_run:
        _mark(loaded, plan, condemned, taint)
    return 0


def _condemned(
    loaded: Loaded, chosen: Sequence[int], taint: Taint
) -> tuple[Plan, Mapping[int, int]]:
    """Return a plan that builds what is tainted again, and each tainted target with its root.

    Raises:
        UsageError: one of the chosen targets is not built, or nothing builds it.

    """
    from marin_build.analysis import downstream
    from marin_build.cli.session import observe_tainted
    from marin_build.plan import make_plan

    targets = loaded.targets
    below = sorted(downstream(targets, set(chosen)))
    plain = observe_tainted(loaded, below)
    unbuilt = [targets.all[i].id for i in chosen if not plain.of(i).is_built]
    foreign = [targets.all[i].id for i in chosen if targets.all[i].step.fn is None]
    for ids, what in ((unbuilt, "is not built"), (foreign, "is built by nothing")):
        if ids:
            raise UsageError(
                f"`{ids[0]}` {what}: there is nothing to build again",
                facts=[("targets", "\n".join(ids[:10]))] if len(ids) > 1 else [],
                consequence="nothing was marked",
            )
    root_of = {index: index for index in chosen}
    for index in below:
        root = next((root_of[dep] for dep in targets.deps[index] if dep in root_of), None)
        if index not in root_of and root is not None and plain.of(index).is_built:
            root_of[index] = root
    tainted = replace(plain, tainted=dict.fromkeys(chosen, taint))
    return make_plan(targets, tainted, sorted(root_of)), root_of


def _ends(loaded: Loaded, condemned: Mapping[int, int]) -> list[int]:
    """Return the tainted targets that no other tainted one needs: asking for them builds all."""
    needed = {dep for index in condemned for dep in loaded.targets.deps[index]}
    return [index for index in condemned if index not in needed]


def _list(loaded: Loaded, plan: Plan, condemned: Mapping[int, int], again: tuple[str, str]) -> None:
    from marin_build.cli.estimating import estimate_for
    from marin_build.cli.views.plan_rows import RUN_VERBS
    from marin_build.cli.views.plan_shown import show
    from marin_build.cli.views.plan_text import plan_text
    from marin_build.emit.plan_id import plan_id

    told = replace(
        plan, decisions=tuple(d for d in plan.decisions if d.index in condemned), requested=()
    )
    estimate = estimate_for(loaded, told, "local")
    name = plan_id(told, loaded.file, loaded.pipeline.parameters, "local")
    shown = show(told, name, again, estimate, {}, only=RUN_VERBS)
    click.echo(plan_text(shown), nl=False)


def _mark(loaded: Loaded, plan: Plan, condemned: Mapping[int, int], taint: Taint) -> None:
    from marin_build.taints import put_taints

    targets = loaded.targets
    runs = {}
    for index, root in condemned.items():
        built = plan.snapshot.of(index).built
        runs[index] = (targets.all[root].id, built.run if built is not None else "")
    put_taints(loaded.store, targets, runs, taint)
    click.echo(f"tainted {len(runs)} target{'s' if len(runs) != 1 else ''}: {taint.reason}")


def _undo(loaded: Loaded, chosen: Sequence[int]) -> int:
    from marin_build.observe import list_tainted
    from marin_build.taints import follow, remove_taints

    targets = loaded.targets
    roots = {targets.all[index].id for index in chosen}
    marked = follow(loaded.store, targets, list_tainted(loaded.store, targets), roots)
    remove_taints(loaded.store, targets, marked)
    for index in marked:
        click.echo(f"`{targets.all[index].id}` is not tainted any more")
    if not marked:
        click.echo("nothing was tainted")
    return 0
