"""The command group; a command's module is imported when the command is run."""

from __future__ import annotations

import importlib
import os

import click

_COMMANDS = (
    "init",
    "plan",
    "lint",
    "apply",
    "diff",
    "trace",
    "graph",
    "report",
    "explain",
    "status",
    "runs",
    "ui",
    "logs",
    "path",
    "show",
    "metrics",
    "open",
    "ls",
    "du",
    "run",
    "verify",
    "provenance",
    "accept",
    "taint",
    "adopt",
    "commit",
    "migrate",
    "gc",
    "unlock",
    "doctor",
    "config",
    "completion",
    "ci",
    "run-step",
)
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
