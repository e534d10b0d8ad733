"""`marin-build run-step`: build one target; what emitted scripts and job specs run."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.errors import EXIT_TARGET_FAILED, StoppedError, StoreAwayError, UsageError
from marin_build.operations.options import PipelineOptions, command_line
from marin_build.pipeline.retries import INFRASTRUCTURE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from marin_build.apply.events import Event
    from marin_build.operations.adopted_data import AdoptedData
    from marin_build.operations.loading import Loaded
    from marin_build.pipeline.targets import Target
    from marin_build.plan.document import PlanDocument


@click.command("run-step", context_settings={"ignore_unknown_options": False})
@click.option("--target", metavar="TARGET", help="The target's id, `name_with_hash`.")
@click.option("--plan", "folder", metavar="DIR", help="A plan directory that pins it.")
@click.option("--pending", is_flag=True, help="With --plan: list what is still to be built.")
@click.option("--no-lease", is_flag=True, help="Build without leases: nobody else builds there.")
@click.option(
    "--once",
    is_flag=True,
    help="Try once; exit code 75, 124 or 137 for infrastructure, time-out, out of memory.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON event a line.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@pipeline_options
def command(
    options: PipelineOptions,
    target: str | None,
    folder: str | None,
    words: tuple[str, ...],
    *,
    pending: bool,
    no_lease: bool,
    once: bool,
    as_json: bool,
) -> int:
    """Build one target under its lease, unless it is built.

    For a command step the command may follow `--`; it must be the one the pipeline declares.
    """
    from marin_build.cli.standard_streams import lasting_streams
    from marin_build.cli.views.apply_text import TextView, show_json
    from marin_build.operations.loading import load
    from marin_build.operations.replay import load_saved

    context = click.get_current_context()
    context.with_resource(lasting_streams())
    if once:
        context.with_resource(_store_away_is_infrastructure())
    document: PlanDocument | None = None
    if folder is not None:
        loaded, document = load_saved(folder, options)
    else:
        loaded = load(options)
    if pending:
        return _list_pending(loaded, document)
    if target is None:
        raise UsageError("no target is given", hint="--target NAME_WITH_HASH")
    if folder is not None:
        again = shlex.join(["bash", os.path.join(folder, "steps", target, "run.sh")])
    else:
        again = command_line("run-step", options, ["--target", target])
    view = show_json if as_json else TextView(again, lambda _failure: again)
    return _run(loaded, document, target, words, view, no_lease=no_lease, once=once)


@contextmanager
def _store_away_is_infrastructure() -> Iterator[None]:
    """End with the code for infrastructure if the store gives no answer: an engine tries again."""
    try:
        yield
    except StoreAwayError as error:
        click.echo(error.render(), err=True)
        raise click.exceptions.Exit(INFRASTRUCTURE) from error


def _list_pending(loaded: Loaded, document: PlanDocument | None) -> int:
    """Print the ids of the plan's targets that are not built, one a line."""
    from marin_build.operations.replay import replan_saved
    from marin_build.plan.decisions import Kind
    from marin_build.plan.reason_text import describe
    from marin_build.plan.reasons import Unreadable
    from marin_build.text import printable

    if document is None:
        raise UsageError("`--pending` needs `--plan DIR`")
    plan = replan_saved(loaded, document)
    planned = {d.target for d in document.decisions if d.decision in {"run", "wait"}}
    for decision in plan.decisions:
        id_ = plan.targets.all[decision.index].id
        if isinstance(decision.reason, Unreadable):
            reason = printable(describe(decision.reason))
            click.echo(f"error: `{id_}` is blocked: {reason}", err=True)
        # What is blocked by now fails when its script is run: the replay must not pass over it.
        is_blocked_since = decision.kind is Kind.BLOCKED and id_ in planned
        if is_blocked_since or decision.kind in (Kind.RUN, Kind.WAIT):
            sys.stdout.write(f"{id_}\n")
    return 0


def _run(
    loaded: Loaded,
    document: PlanDocument | None,
    target_id: str,
    words: tuple[str, ...],
    view: Callable[[Event], None],
    *,
    no_lease: bool,
    once: bool,
) -> int:
    from marin_build.apply.events import StepEnded
    from marin_build.operations.adopted_data import with_adopted
    from marin_build.operations.apply import exit_code, replay
    from marin_build.operations.replay import insisted_in, pinned_code
    from marin_build.operations.run import plan_of_one
    from marin_build.pipeline.retries import CODE_OF_CAUSE
    from marin_build.plan.outcomes import Failed

    index = loaded.targets.by_id.get(target_id)
    if index is None:
        raise StoppedError(
            f"the pipeline declares no target `{target_id}`",
            facts=[("pipeline", loaded.file)],
            consequence="nothing was run",
            hint="the pipeline changed: make the plan again",
        )
    insisted = insisted_in(document, loaded.targets) & {index} if document else frozenset()
    plan = plan_of_one(
        loaded,
        index,
        insisted,
        lambda _missing: "build them first, or all with `marin-build apply`",
    )
    loaded, plan = with_adopted(loaded, plan, readers=[index])
    if words:
        _check_command(plan.targets.all[plan.decisions[0].index], words, loaded.adopted)
    failed: list[Failed] = []

    def on_event(event: Event) -> None:
        if isinstance(event, StepEnded) and isinstance(event.outcome, Failed):
            failed.append(event.outcome)
        view(event)

    finished = replay(
        loaded,
        plan,
        pinned_code(document) if document is not None else {},
        jobs=1,
        keep_going=False,
        isolation="process",
        on_event=on_event,
        lease=not no_lease,
        once=once,
    )
    code = exit_code(finished)
    is_told = once and failed and code == EXIT_TARGET_FAILED
    return CODE_OF_CAUSE.get(failed[-1].cause, code) if is_told else code


def _check_command(
    target: Target, words: tuple[str, ...], adopted: Mapping[str, AdoptedData]
) -> None:
    """Refuse a command that is not the one the pipeline declares for the target."""
    from marin_build.emit.quoting import plain_words
    from marin_build.pipeline.command import Command
    from marin_build.workspace import current_workspace

    fn = target.step.fn
    declared = fn.words(target.output_path) if isinstance(fn, Command) else ()
    absolute = fn.argv(target.output_path) if isinstance(fn, Command) else []
    if list(words) not in (absolute, plain_words(declared, current_workspace())):
        raise StoppedError(
            f"the command given for `{target.name}` is not the one the pipeline declares",
            facts=[
                ("declared", " ".join(absolute) or "none, it is a function"),
                *(("adopted", f"{id_}: {place.location}") for id_, place in adopted.items()),
            ],
            consequence="nothing was run",
            hint="make the plan again: data was adopted since, or elsewhere"
            if adopted
            else "change the pipeline, not the script",
        )
