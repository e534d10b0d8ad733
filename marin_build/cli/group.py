"""The command group; a command's module is imported when the command is run."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_COMMANDS = {
    "init": "Write a pipeline to start from, and have git ignore outputs.",
    "plan": "Show what would be built and why; nothing is built.",
    "lint": "Check a pipeline for what is legal and probably a mistake.",
    "apply": "Build what is not built, or replay a plan in a directory.",
    "diff": "Show which targets differ, and in what.",
    "trace": "Write when each step of a run ran, and the critical path.",
    "graph": "Draw the pipeline and the state of each target.",
    "report": "Write a page of results: pictures, tables, metrics, origin.",
    "explain": "Show all that is known about why a target is built, or not.",
    "status": "Show the state of each target, for runs on all machines.",
    "runs": "List the runs under the prefix, by anyone, newest first.",
    "ui": "Show runs in a browser as they go on.",
    "logs": "Print the log of the newest attempt at a target.",
    "path": "Print where outputs lie, one path or URL a line.",
    "show": "Show an output: its origin, its result and its files.",
    "metrics": "Show the numbers that steps returned, beside attributes.",
    "open": "Open an output in the program that this system has for it.",
    "ls": "List what lies under the prefix, of any pipeline.",
    "du": "Show what fills the prefix, and what a bucket costs a month.",
    "run": "Build one target in the foreground, with keyboard and screen.",
    "verify": "Compare outputs with what was committed.",
    "provenance": "State what made an output, and from what, down to sources.",
    "accept": "Record that today's code would build the same output.",
    "taint": "Mark built targets, and all that was made from them, as bad.",
    "adopt": "Register existing data as the output of a target.",
    "commit": "Commit the kept output of a step, without building it again.",
    "migrate": "Show an experiment of Marin in the words of marin-build.",
    "gc": "Show which outputs nothing needs; --apply deletes them later.",
    "unlock": "Remove the lease on a target whose holder died.",
    "doctor": "Check what a build relies on: machine, store, engines.",
    "config": "Look at the configuration.",
    "completion": "Print what makes a shell complete commands and targets.",
    "ci": "Build in continuous integration.",
    "run-step": "Build one target under its lease, unless it is built.",
}
"""What `--help` lists, each in a line: so it imports no command."""
_INTERNAL = ("list-targets",)
"""Commands for processes that marin-build starts itself; help does not list them."""


def is_command(name: str) -> bool:
    """Return whether a command has that name."""
    return name in _COMMANDS


class LazyGroup(click.Group):
    """A group whose commands live in `cli/commands/<name>.py`, as `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names, in the order in which people first need them."""
        return list(_COMMANDS)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the names and what each command does."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the names and the options that begin as the word at the cursor."""
        from click.shell_completion import CompletionItem

        names = [name for name in _COMMANDS if name.startswith(incomplete)]
        commands = [CompletionItem(name, help=_COMMANDS[name]) for name in names]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Import a command."""
        if cmd_name not in (*_COMMANDS, *_INTERNAL):
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"marin_build.cli.commands.{name}")
        command: click.Command = module.command
        if "_MARIN_BUILD_COMPLETE" in os.environ:  # a shell asks for completions
            from marin_build.cli.completed_words import complete_words

            complete_words(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command.

        Raises:
            UsageError: there is no such command; the hint names the nearest one.

        """
        if args and args[0] not in (*_COMMANDS, *_INTERNAL) and not args[0].startswith("-"):
            from marin_build.errors import UsageError
            from marin_build.text.readable import did_you_mean

            raise UsageError(
                f"no command is called `{args[0]}`",
                hint=did_you_mean(args[0], _COMMANDS) or "marin-build --help",
            )
        return super().resolve_command(ctx, args)


def _without_colours() -> bool:
    """Return whether colours are off: NO_COLOR is set, or the terminal has none."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


@click.group(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "color": False if _without_colours() else None,
    },
)
@click.version_option(package_name="marin-build", message="marin-build %(version)s")
def cli() -> None:
    """Plan step graphs declared in Python, and replay them incrementally.

    Begin with `marin-build init`, which writes a pipeline; then `plan`, and `apply`.
    """
