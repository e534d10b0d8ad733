"""Write docs/reference/command-line.md from the command line itself.

python docs/generate_command_line.py
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click

from marin_build.cli.group import cli
from marin_build.cli.options import pipeline_options

PAGE = Path(__file__).parent / "reference" / "command-line.md"

HEAD = """\
# The command line

<!-- Written by docs/generate_command_line.py. Do not edit. -->

Every command has `-h` and `--help`. Results go to standard output, errors and warnings to standard
error. Whatever a pipeline prints while it loads, or later, goes to standard error, too: from
Python, a C library, a thread or a child process. Only a step of `marin-build run` has standard
output itself.

[Exit codes](exit-codes.md) has a table of its own.

## Options of the pipeline

These choose the pipeline, its place, its parameters and its code policy. Most commands have them;
[configuration](configuration.md) gives their defaults.
"""


def command_line_reference() -> str:
    """Return the text of the page."""
    probe = click.command()(pipeline_options(lambda **_: None))
    shared = _options(probe)
    commands = _commands()
    sections = ["\n".join([HEAD, *shared]) + "\n"]
    sections += [_section(name, command, shared) for name, command in commands.items()]
    return "\n".join(sections)


def _commands() -> dict[str, click.Command]:
    """Return all commands by what is typed for them: `config show`."""
    context = click.Context(cli, info_name="marin-build")
    found: dict[str, click.Command] = {}
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= {f"{name} {sub}": each for sub, each in command.commands.items()}
        else:
            found[name] = command
    return found


def _section(name: str, command: click.Command, shared: list[str]) -> str:
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    usage = " ".join(["marin-build", name, "[OPTIONS]", *map(_argument, arguments)])
    lines = [f"## marin-build {name}", "", "```text", usage, "```", "", _prose(command.help or "")]
    options = _options(command)
    here = [line for line in options if line in shared]
    if len(here) < len(shared) - 1:  # a few of them; all but `-f`, where that means --follow
        here = []
    if options:
        lines += ["", *(line for line in options if line not in here)]
    if here:
        lines.append("- [Options of the pipeline](#options-of-the-pipeline)")
    return "\n".join(lines) + "\n"


def _options(command: click.Command) -> list[str]:
    options = (p for p in command.params if isinstance(p, click.Option))
    return [_option(option) for option in options if not option.hidden]


def _prose(text: str) -> str:
    """Return a help text, with the words that stand for values marked."""
    return re.sub(r"(?<![`\w])(TARGET|x\+|\+x|tag:T)(?!\w)", r"`\1`", inspect.cleandoc(text))


def _argument(argument: click.Argument) -> str:
    shown = argument.metavar or f"[{(argument.name or '').upper().removesuffix('S')}]"
    return shown + ("..." if argument.nargs == -1 and "..." not in shown else "")


def _option(option: click.Option) -> str:
    value = ""
    if isinstance(option.type, click.Choice):
        value = f" {'|'.join(option.type.choices)}"
    elif not option.is_flag:
        value = f" {option.metavar or option.type.name.split()[0].upper()}"
    default = f" Default: `{option.default}`." if option.show_default else ""
    again = "" if not option.multiple or "several" in (option.help or "") else " Repeatable."
    help_text = f": {option.help}" if option.help else ":"
    return f"- `{', '.join(option.opts)}{value}`{help_text}{again}{default}"


if __name__ == "__main__":
    PAGE.write_text(command_line_reference(), encoding="utf-8")
    print(f"written: {PAGE}")
