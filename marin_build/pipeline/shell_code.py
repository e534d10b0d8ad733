"""Bash code with placeholders: each becomes a quoted variable, or is refused. Pure.

Values never enter shell code: a placeholder there becomes a quoted reference to a variable, and one
that stands for a list a reference to an array.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from marin_build.pipeline.placeholders import PLACEHOLDER, names_in
from marin_build.pipeline.shell_contexts import places_in
from marin_build.pipeline.shell_lexer import NotUnderstoodError
from marin_build.pipeline.shell_words import WHY_NO_LIST, Word, takes_list, words_for_shells

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Sequence


@lru_cache(maxsize=1024)  # the steps of a sweep share their text
def shell_code(text: str, lists: frozenset[str] = frozenset()) -> str:
    """Return bash code in which each placeholder is a quoted variable.

    Args:
        text: bash code with placeholders.
        lists: the placeholders that are arrays: each becomes as many words as its array has.

    Raises:
        ValueError: a placeholder stands where no quoting is right.

    """
    try:
        has_places = any(found[2] for found in PLACEHOLDER.finditer(text))
        places = places_in(text, lists) if has_places else None
    except NotUnderstoodError as error:
        raise ValueError(f"placeholders in it cannot be quoted: {error}") from None
    if places is None:
        return PLACEHOLDER.sub(lambda found: f"{{{found[1]}}}", text)
    pieces: list[str] = []
    end = 0
    for place in places:
        literal, name = place.found.groups()
        pieces.append(text[end : place.found.start()])
        if literal:
            pieces.append(f"{{{literal}}}")
        elif place.problem is not None:
            raise ValueError(f"the placeholder {{{name}}} stands {place.problem}")
        else:
            variable = f"${{{name}[@]}}" if name in lists else f"${{{name}}}"
            pieces.append(variable if place.in_quotes else f'"{variable}"')
        end = place.found.end()
    pieces.append(text[end:])
    return "".join(pieces)


def check_words(
    words: Sequence[str], ours: Container[str], lists: Collection[str] = frozenset()
) -> None:
    """Refuse a placeholder in the code that a list of words gives to a shell: `bash -c CODE`.

    Args:
        words: the command.
        ours: the names of placeholders that stand for folders of ours.
        lists: the names of placeholders that stand for lists, each of which is a word of its own.

    Raises:
        ValueError: such a placeholder stands in such code, or a list where it cannot.

    """
    read = [Word(word, plain=word, program=word.rpartition("/")[2]) for word in words]
    for word, why in words_for_shells(read):
        for name, literal in names_in(word.raw):
            if not literal and name not in ours:
                raise ValueError(f"the placeholder {{{name}}} stands {why}")
    for at, template in enumerate(words):
        for name, literal in names_in(template):
            if (
                not literal
                and name in lists
                and not (template == f"{{{name}}}" and takes_list(read, at))
            ):
                raise ValueError(f"the placeholder {{{name}}} stands {WHY_NO_LIST}")
