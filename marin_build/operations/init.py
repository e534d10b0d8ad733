"""A pipeline to start from, written into a folder."""

from __future__ import annotations

import os

from marin_build.errors import NOTHING_WRITTEN, UsageError
from marin_build.places import refuse_url
from marin_build.whole_files import write_whole

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


def write_first_pipeline(folder: str = ".") -> str:
    """Write a pipeline to start from, and have git ignore its outputs; return its file.

    Args:
        folder: where the files go; it is created if it does not exist.

    Raises:
        UsageError: the folder has a pipeline.py.
        OSError: the folder cannot be written.

    """
    refuse_url(folder, "a pipeline", "marin-build init FOLDER")
    file = os.path.join(folder, "pipeline.py")
    if os.path.exists(file):
        raise UsageError(f"`{file}` exists", consequence=NOTHING_WRITTEN)
    os.makedirs(folder, exist_ok=True)
    write_whole(file, _PIPELINE)
    ignore = os.path.join(folder, ".gitignore")
    lines = ""
    if os.path.exists(ignore):
        with open(ignore, encoding="utf-8") as stream:
            lines = stream.read()
    if ".marin-build/" not in lines.splitlines():
        end = "" if not lines or lines.endswith("\n") else "\n"
        write_whole(ignore, f"{lines}{end}.marin-build/\n")
    return file
