"""`marin-build run-step`: build one target; emitted scripts and job specs run this."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from marin_build.cli.next_commands import NextCommands
from marin_build.cli.options import pipeline_options
from marin_build.cli.terminal import echo
from marin_build.errors import EXIT_OK, StoreAwayError, UsageError
from marin_build.operations.loading.options import PipelineOptions, command_line, script_line
from marin_build.pipeline.retries import INFRASTRUCTURE, SAID_OF_INFRASTRUCTURE

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command("run-step", context_settings={"ignore_unknown_options": False})
@click.option("--target", metavar="TARGET", help="The target's id, `name_with_hash`.")
@click.option("--plan", "folder", metavar="DIR", help="A plan directory that pins it.")
@click.option("--pending", is_flag=True, help="With --plan: list targets still to be built.")
@click.option(
    "--states", is_flag=True, help="With --plan: say of each target: `to-build ID` or `built ID`."
)
@click.option(
    "--bundle", metavar="NAME", help="Load the pipeline from a bundle of code under the prefix."
)
@click.option(
    "--send-code", is_flag=True, help="With --plan: put its bundle of code under the prefix."
)
@click.option("--no-lease", is_flag=True, help="Take no lease: no other run may build there.")
@click.option(
    "--once",
    is_flag=True,
    help="Try once; exit code 75, 124 or 137 for infrastructure, time-out, out of memory.",
)
@click.option(
    "--overwrite",
    metavar="LISTING",
    help="Delete foreign data with this listing that lies at its output path.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON event a line.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@pipeline_options
def command(
    options: PipelineOptions,
    target: str | None,
    folder: str | None,
    bundle: str | None,
    words: tuple[str, ...],
    overwrite: str | None,
    *,
    send_code: bool,
    pending: bool,
    states: bool,
    no_lease: bool,
    once: bool,
    as_json: bool,
) -> int:
    """Build one target under its lease, unless it is built.

    For a command step the command may follow `--`; it must be the one the pipeline declares.
    """
    from marin_build.cli.standard_streams import lasting_streams
    from marin_build.cli.views.apply_plain import OneTargetView
    from marin_build.cli.views.apply_text import show_json
    from marin_build.cli.views.pending_text import show_pending, show_states
    from marin_build.operations.building.run_step import list_pending, run_step
    from marin_build.operations.loading.loading import load
    from marin_build.run_step.launch import take_launch
    from marin_build.run_step.turn import IN_TURN

    options = replace(options, params=options.params or None)  # a script names all parameters
    launch = take_launch(os.environ)  # before the pipeline may start a program
    in_turn = os.environ.pop(IN_TURN, "") == "1"
    context = click.get_current_context()
    context.with_resource(lasting_streams())
    if once:
        context.with_resource(_unreachable_store_is_infrastructure())
    if send_code:
        return _send_code(folder)
    if bundle is not None:
        from marin_build.operations.engine_jobs.code_bundle import unpacked

        if folder is not None:
            raise UsageError("a saved plan names its bundle of code itself: leave out `--bundle`")
        options = context.with_resource(unpacked(options, bundle))
    if folder is not None:
        from marin_build.operations.saved_plans.load_saved import load_saved

        loaded, document = load_saved(folder, options, None if pending or states else target)
    else:
        loaded, document = load(options, needed=[target] if target else []), None
    if pending or states:
        if document is None:
            raise UsageError(f"`--{'pending' if pending else 'states'}` needs `--plan DIR`")
        found = list_pending(loaded, document)
        if pending:
            show_pending(found)
        else:
            show_states(document.to_build, found)
        return EXIT_OK
    if target is None:
        raise UsageError("no target is given", hint="--target NAME_WITH_HASH")
    if launch is not None and not launch.leads:
        from marin_build.cli.views.rank_text import show_rank
        from marin_build.operations.building.run_rank import run_rank

        ended = run_rank(loaded, target, launch, document, words, lease=not no_lease)
        show_rank(launch, target, ended, as_json=as_json)
        return ended.process_code
    if folder is not None:
        again = script_line(folder, target)
    else:
        again = command_line("run-step", options, ["--target", target])
    commands = NextCommands(again, lambda _failure: again)
    ran = run_step(
        loaded,
        target,
        document,
        words,
        lease=not no_lease,
        once=once,
        launch=launch,
        overwrite=overwrite,
        in_turn=in_turn,
        on_event=show_json if as_json else OneTargetView(commands, target=target),
    )
    if ran.exit_code == INFRASTRUCTURE:
        echo(SAID_OF_INFRASTRUCTURE, err=True)
    return ran.exit_code


def _send_code(folder: str | None) -> int:
    """Put the bundle of a saved plan under its prefix; say whether it was there."""
    from marin_build.operations.saved_plans.send_code import send_saved

    if folder is None:
        raise UsageError("`--send-code` needs `--plan DIR`")
    name, is_new = send_saved(folder)
    echo(f"{'sent' if is_new else 'already there'}  {name}")
    return EXIT_OK


@contextmanager
def _unreachable_store_is_infrastructure() -> Iterator[None]:
    """Exit with the code for infrastructure if the store does not answer: engines then retry."""
    try:
        yield
    except StoreAwayError as error:
        echo(f"{error.render()}\n{SAID_OF_INFRASTRUCTURE}", err=True)
        raise click.exceptions.Exit(INFRASTRUCTURE) from error
