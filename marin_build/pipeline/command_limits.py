"""What a command line can hold: one that is too long is refused at once; long lists go by file.

Linux gives a program 2 MiB of words, and 128 KiB for one word. So a list of dependencies, inputs or
values can be written into a file, one a line, and `{name_list}` stands for the path of that file.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from marin_build.pipeline.placeholders import PLACEHOLDER
from marin_build.workspace.own_files import open_own
from marin_build.workspace.own_folder import NAME, make_folder
from marin_build.workspace.places import is_url
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


LONGEST_WORD = (1 << 17) - 1
"""Bytes of the longest word: MAX_ARG_STRLEN of Linux, without the end."""
LONGEST_LINE = (2 << 20) - (256 << 10)
"""Bytes of all words: ARG_MAX of Linux, without what an environment may take."""
_PER_WORD = 9
"""Bytes that a word takes besides its own: its end, and a pointer to it."""


def list_name(name: str) -> str:
    """Return the placeholder that stands for the file with what another one stands for."""
    return f"{name}_list"


def list_path(output: str, name: str) -> str:
    """Return the local path of the file that lists what a placeholder stands for.

    Args:
        output: the output path of the step.
        name: of the placeholder.

    """
    if not is_url(output):
        return f"{output}/.lists/{name}.txt"
    folder = hashlib.sha256(output.encode()).hexdigest()[:16]
    return f"{current_workspace().project}/{NAME}/lists/{folder}/{name}.txt"


def write_lists(lists: Mapping[str, Sequence[str]], output: str) -> None:
    """Write what list placeholders stand for, one a line, before the command runs.

    Raises:
        OSError: a file cannot be written.

    """
    for name, lines in lists.items():
        path = list_path(output, name)
        make_folder(os.path.dirname(path))
        descriptor = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.writelines(f"{line}\n" for line in lines)


def size_problem(
    text: str | Sequence[str], sizes: Mapping[str, int], lists: Mapping[str, Sequence[int]]
) -> str | None:
    """Return why a command line is too long for Linux; None if it is not.

    Args:
        text: the words of the command, or code for bash, with placeholders.
        sizes: bytes that each placeholder stands for, about.
        lists: bytes of each word that a placeholder of several things becomes, about.

    """
    if isinstance(text, str):  # each placeholder becomes a variable, `name=value`, or an array
        used = {found[2] for found in PLACEHOLDER.finditer(text) if found[2]}
        words = [len(text.encode("utf-8", "replace")) + 4 * len(used)]
        words += [len(name) + 1 + sizes.get(name, 0) for name in used]
        words += [size for name in used for size in lists.get(name, ())]
    else:
        words = [
            len(word.encode("utf-8", "replace"))
            + sum(sizes.get(found[2], 0) for found in PLACEHOLDER.finditer(word) if found[2])
            for word in text
        ]
        words += [size for word in text for size in lists.get(word[1:-1], ())]
    longest, whole = max(words, default=0), sum(words) + _PER_WORD * len(words)
    if longest > LONGEST_WORD:
        return f"a word of it has {longest} bytes, and Linux gives a program at most {LONGEST_WORD}"
    if whole > LONGEST_LINE:
        return f"it has {whole} bytes, and Linux gives a program at most {LONGEST_LINE} or so"
    return None
