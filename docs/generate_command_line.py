"""Write docs/reference/command-line.md from the command line itself.

python docs/generate_command_line.py
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click

from marin_build.cli.group import cli

PAGE = Path(__file__).parent / "reference" / "command-line.md"

HEAD = """\
# The command line

<!-- Written by docs/generate_command_line.py. Do not edit. -->

Every command has `-h` and `--help`. Results go to standard output, errors and warnings to standard
error. Whatever a pipeline prints while it loads, or later, goes to standard error, too: from
Python, a C library, a thread or a child process. Only a step of `marin-build run` has standard
output itself.

[Exit codes](exit-codes.md) has a table of its own. `-f`, `--prefix`, `--profile`, `--set`,
`--params`, `--engine` and `--code-policy` choose the pipeline, its place, its parameters and its
code policy; [configuration](configuration.md) gives their defaults.
"""


def command_line_reference() -> str:
    """Return the text of the page."""
    context = click.Context(cli, info_name="marin-build")
    sections = [HEAD]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            sections += [_section(f"{name} {sub}", each) for sub, each in command.commands.items()]
        else:
            sections.append(_section(name, command))
    return "\n".join(sections)


def _section(name: str, command: click.Command) -> str:
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option)]
    usage = " ".join(["marin-build", name, "[OPTIONS]", *map(_argument, arguments)])
    lines = [f"## marin-build {name}", "", "```text", usage, "```", "", _prose(command.help or "")]
    if options:
        lines += ["", *map(_option, options)]
    return "\n".join(lines) + "\n"


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
