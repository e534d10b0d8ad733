"""`marin-build taint`: have what is built, but bad, built again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.errors import UsageError
from marin_build.operations.options import PipelineOptions, command_line
from marin_build.protocol.layout import STATUS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.operations.loading import Loaded
    from marin_build.pipeline.targets import Target
    from marin_build.plan.decisions import Plan
    from marin_build.plan.snapshot import Observed
    from marin_build.protocol.taints import Taint


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

    from marin_build.operations.loading import load
    from marin_build.operations.plan import choose
    from marin_build.protocol.taints import Taint

    loaded = load(options)
    chosen = choose(loaded, targets)
    if undo:
        return _undo(loaded, chosen, dry_run=dry_run)
    if dry_run:
        reason = reason or "..."
    if not reason or not reason.strip():
        raise UsageError(
            "a taint needs a reason: others will ask",
            consequence="nothing was marked",
            hint='--reason "trained on the wrong dump"',
        )
    taint = Taint(reason.strip(), loaded.host.worker, datetime.now(UTC).isoformat("T", "seconds"))
    plan, condemned = _condemned(loaded, chosen, taint)
    ends = dict.fromkeys(loaded.targets.all[index].name for index in _ends(loaded, condemned))
    again = ("to build it again", command_line("apply", options, list(ends)))
    _list(loaded, plan, condemned, again)
    if not dry_run:
        _mark(loaded, plan, condemned, taint)
    return 0


def _condemned(
    loaded: Loaded, chosen: Sequence[int], taint: Taint
) -> tuple[Plan, Mapping[int, Sequence[int]]]:
    """Return a plan that builds what is tainted again, and each tainted target with its roots.

    Raises:
        UsageError: one of the chosen targets cannot be tainted.

    """
    from marin_build.operations.plan import observe_tainted
    from marin_build.plan.decisions import make_plan
    from marin_build.plan.graph_shape import downstream

    targets = loaded.targets
    below = sorted(downstream(targets, set(chosen)))
    plain = observe_tainted(loaded, below)
    for index in chosen:
        _refuse_untaintable(targets.all[index], plain.of(index))
    roots_of = {index: [index] for index in chosen}
    for index in below:
        if plain.of(index).is_built and targets.all[index].step.fn is not None:
            above = [root for dep in targets.deps[index] for root in roots_of.get(dep, ())]
            if above:
                roots_of[index] = list(dict.fromkeys([*roots_of.get(index, ()), *above]))
    tainted = replace(plain, tainted=dict.fromkeys(chosen, taint))
    return make_plan(targets, tainted, sorted(roots_of)), roots_of


def _refuse_untaintable(target: Target, seen: Observed) -> None:
    """Refuse what would never be built again, or not seen to be tainted."""
    step, built = target.step, seen.built
    hint = None
    if not seen.is_built:
        what = "is not built: there is nothing to build again"
    elif step.fn is None:
        what = "is built by nothing: there is nothing to build again"
    elif built is not None and built.adopted_from == target.output_path:
        what = "was adopted where it lies: to build it again would delete that data"
        hint = f"move `{target.output_path}` away; then apply builds it"
    elif step.output_path_prefix is not None or step.override_output_path is not None:
        what = "has an output path of its own: others who use it would not see the mark"
        hint = f"delete `{target.output_path}/{STATUS}`; then whoever needs it builds it"
    else:
        return
    raise UsageError(f"`{target.id}` {what}", consequence="nothing was marked", hint=hint)


def _ends(loaded: Loaded, condemned: Mapping[int, Sequence[int]]) -> list[int]:
    """Return the tainted targets that no other tainted one needs: asking for them builds all."""
    needed = {dep for index in condemned for dep in loaded.targets.deps[index]}
    return [index for index in condemned if index not in needed]


def _list(
    loaded: Loaded, plan: Plan, condemned: Mapping[int, Sequence[int]], again: tuple[str, str]
) -> None:
    from marin_build.cli.views.plan_rows import RUN_VERBS
    from marin_build.cli.views.plan_text import plan_text
    from marin_build.cli.views.plan_view import show
    from marin_build.engines.registry import DEFAULT_ENGINE, open_engine
    from marin_build.operations.estimate import estimate_for
    from marin_build.plan.plan_id import plan_id

    told = replace(
        plan, decisions=tuple(d for d in plan.decisions if d.index in condemned), requested=()
    )
    engine = open_engine(DEFAULT_ENGINE, {})
    estimate = estimate_for(loaded, told, engine)
    name = plan_id(told, loaded.file, loaded.pipeline.parameters, engine.name)
    shown = show(told, name, again, estimate, {}, only=RUN_VERBS)
    click.echo(plan_text(shown), nl=False)


def _mark(loaded: Loaded, plan: Plan, condemned: Mapping[int, Sequence[int]], taint: Taint) -> None:
    from marin_build.protocol.taints import put_taints
    from marin_build.text import printable

    targets = loaded.targets
    entries = {}
    for index, roots in condemned.items():
        run = _run_of(plan.snapshot.of(index))
        entries[index] = [(targets.all[root].id, run) for root in roots]
    put_taints(loaded.store, targets, entries, taint)
    count = f"{len(entries)} target{'s' if len(entries) != 1 else ''}"
    click.echo(f"tainted {count}: {printable(taint.reason)}")


def _run_of(seen: Observed) -> str:
    """Return the run that built a target; a sealed one has no record yet."""
    if seen.built is not None:
        return seen.built.run
    return seen.lease.run if seen.lease is not None else ""


def _undo(loaded: Loaded, chosen: Sequence[int], *, dry_run: bool) -> int:
    from marin_build.observe.read_snapshot import list_tainted
    from marin_build.observe.read_taints import read_taints
    from marin_build.plan.reason_text import describe
    from marin_build.plan.reasons import Tainted
    from marin_build.protocol.taints import remove_taints
    from marin_build.text import printable

    targets = loaded.targets
    roots = {targets.all[index].id for index in chosen}
    marked = list_tainted(loaded.store, targets)
    if dry_run:
        for index, taint in read_taints(loaded.store, targets, marked).items():
            why = printable(describe(Tainted(taint.reason, taint.by, taint.at)))
            click.echo(f"`{targets.all[index].id}`: {why}")
        return 0
    free = remove_taints(loaded.store, targets, marked, roots)
    for index in free:
        click.echo(f"`{targets.all[index].id}` is not tainted any more")
    if not free:
        click.echo("nothing was tainted for that alone")
    return 0
