"""`marin-build init`: a pipeline to start from."""

from __future__ import annotations

import os

import click

from marin_build.errors import UsageError

_PIPELINE = '''"""Two steps to start from: `marin-build plan`, then `marin-build apply`."""

from pathlib import Path

from marin_build import StepSpec, command, step


@step
def words(output: Path, text: str = "to build or not to build") -> int:
    """Write one word a line; return how many there are."""
    found = text.split()
    (output / "words.txt").write_text("\\n".join(found) + "\\n")
    return len(found)


def pipeline(text: str = "to build or not to build") -> list[StepSpec]:
    """Return what is requested; parameters are given with --set text=..."""
    all_words = words(text=text)
    counts = command(
        "sort {words}/words.txt | uniq -c | sort -rn > {output}/counts.txt",
        name="counts",
        deps={"words": all_words},
        outputs=("counts.txt",),
    )
    return [counts]
'''


@click.command("init")
@click.argument("folder", default=".")
def command(folder: str) -> int:
    """Write a pipeline to start from, and ignore its outputs in git."""
    file = os.path.join(folder, "pipeline.py")
    if os.path.exists(file):
        raise UsageError(f"`{file}` exists", consequence="nothing was written")
    os.makedirs(folder, exist_ok=True)
    with open(file, "w", encoding="utf-8") as stream:
        stream.write(_PIPELINE)
    ignore = os.path.join(folder, ".gitignore")
    lines = ""
    if os.path.exists(ignore):
        with open(ignore, encoding="utf-8") as stream:
            lines = stream.read()
    if ".marin-build/" not in lines.splitlines():
        with open(ignore, "a", encoding="utf-8") as stream:
            stream.write(("" if not lines or lines.endswith("\n") else "\n") + ".marin-build/\n")
    click.echo(f"written: {file}")
    where = "" if folder == "." else f"cd {folder}, "
    click.echo(f"next: {where}marin-build plan, then marin-build apply")
    return 0
