"""Where placeholders stand in bash code, and whether quotes are enough there. Pure.

shell_lexer reads words; here are commands, conditions and `case`. What is not understood is
refused: a placeholder there is an error, never a guess.
"""

from __future__ import annotations

import re
import string
from dataclasses import field
from typing import TYPE_CHECKING

from marin_build.pipeline.placeholders import PLACEHOLDER
from marin_build.pipeline.shell_lexer import NotUnderstoodError, Place, WordReader
from marin_build.pipeline.shell_words import (
    ASSIGNMENT,
    COMPARE_WITH_TEST,
    DECLARE,
    IDENTIFIER,
    NUMERIC,
    WHY_NO_LIST,
    Word,
    is_value,
    problems_of_assignments,
    problems_of_command,
    problems_of_condition,
    takes_list,
)
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from marin_build.pipeline.shell_words import Problem


_RESERVED = frozenset(
    ["if", "then", "elif", "else", "while", "until", "do", "done", "fi", "{", "}", "!", "time"]
)
_PLAIN = frozenset(string.ascii_letters + string.digits + "/.-_{'\"$=")
_OPERATOR = re.compile(r"<<<|<<-?|<&|<>|>&|>>|>\||&>>|&>|<|>")
_SEPARATOR = re.compile(r";;&|;;|;&|\|\||\|&|&&|[;&|\n]")
_FUNCTION = re.compile(r"\(\s*\)")
_POSITIONAL = re.compile(r"\$\{?[0-9@*]")
_HEREDOC = "after `<<`; put the text into a script and declare it as an input"
_REGEX = "in a regular expression; compare with `==`, or use `grep -F`"
_TYPED = "in an assignment, while `declare -i` or `-n` makes bash evaluate some; leave that out"


class _HereDocument(Exception):  # noqa: N818 - it ends the reading, and is no error
    """What follows is data as far as a line that only bash finds; it is not read."""


def places_in(text: str, lists: Collection[str] = frozenset()) -> list[Place]:
    """Return all placeholders of bash code, those of doubled braces too, in their order.

    Args:
        text: bash code.
        lists: the names of placeholders that become any number of words.

    Raises:
        NotUnderstoodError: the code cannot be followed.

    """
    reader = _CommandReader(text, len(text), lists=lists)
    try:
        reader.code(0, "")
        reader.finish()
    except _HereDocument:
        reader.finish()
    except RecursionError:
        raise NotUnderstoodError("its brackets are nested too deep") from None
    except NotUnderstoodError:
        if not any(place.problem for place in reader.places.values()):
            raise
    if len(reader.places) != sum(1 for _ in PLACEHOLDER.finditer(text)):
        raise NotUnderstoodError("not all of them were met")  # never guess
    places = [reader.places[at] for at in sorted(reader.places)]
    for place in places:
        if place.found[2] in lists and place.found.start() not in reader.whole:
            place.problem = place.problem or WHY_NO_LIST
    return places


@dataclass(slots=True)
class _CommandReader(WordReader):
    """One pass over a text.

    Args:
        tainted: variables that hold the value of a placeholder.
        assigned: assignments with placeholders or variables in them.
        has_typed: whether some assignments evaluate their value.
        evaluated: variables whose value is read as code, and why.
        lists: the names of placeholders that become any number of words.

    """

    tainted: set[str] = field(default_factory=set)
    assigned: list[Word] = field(default_factory=list)
    has_typed: bool = False
    evaluated: list[tuple[str, str]] = field(default_factory=list)
    lists: Collection[str] = frozenset()

    def __post_init__(self) -> None:
        """Placeholders are variables themselves."""
        self.tainted |= {found[2] for found in PLACEHOLDER.finditer(self.text) if found[2]}

    def code(self, i: int, closer: str) -> int:
        """Read commands up to the end, or up to the `)` of a substitution."""
        words: list[Word] = []
        heres: list[Word] = []
        cases: list[str] = []
        try:
            i = self._commands(i, closer, words, heres, cases)
        finally:
            self._end(words, heres)
        return i

    def _commands(
        self, i: int, closer: str, words: list[Word], heres: list[Word], cases: list[str]
    ) -> int:
        """Read commands; the last of them is in `words` and `heres` then.

        Of a `case` that is open, `cases` says what comes next: `subject`, `in`, `pattern`, `body`.
        """
        while i < self.stop:
            char = self.text[i]
            if char in " \t":
                i += 1
            elif self.text.startswith("\\\n", i):
                i = self.next_line(i)
            elif char == "#":
                i = self.comment(i)
            elif char in _PLAIN:
                word, i = self.word(i)
                i = self._use(word, i, words, cases)
            elif (operator := _OPERATOR.match(self.text, i, self.stop)) and not self.is_process(i):
                if words and words[-1].raw.isdigit() and self.text[i - 1].isdigit():
                    words.pop()  # the number of a file: `2>`
                i = self._redirection(operator, heres)
            elif separator := _SEPARATOR.match(self.text, i, self.stop):
                i = separator.end()
                self._end(words, heres)
                if cases and separator[0] in {";;", ";&", ";;&"}:
                    cases[-1] = "pattern"
            elif char == "(":
                i = self._parenthesis(i, words, cases)
            elif char == ")":
                i += 1
                if cases and cases[-1] == "pattern":
                    cases[-1] = "body"
                elif closer == ")" and not cases:
                    return i
                else:
                    raise self.not_understood(i, "a `)` that closes nothing")
            else:
                word, i = self.word(i)
                i = self._use(word, i, words, cases)
        if closer or cases:
            raise self.not_understood(i, "a bracket or a `case` that is not closed")
        return i

    def finish(self) -> None:
        """Look once more at what a variable with a placeholder in it does elsewhere.

        Raises:
            NotUnderstoodError: such a variable is read as code.

        """
        if self.has_typed:
            self._mark((word, _TYPED) for word in self.assigned)
        for variable, why in self.evaluated:
            if variable in self.tainted:
                raise NotUnderstoodError(f"`${variable}`, which holds one, stands {why}")
        for part in self.computed:
            name = next(filter(self.tainted.__contains__, IDENTIFIER.findall(part)), None)
            if name is None and (found := _POSITIONAL.search(part)):
                name = found[0]
            if name is not None:
                raise NotUnderstoodError(
                    f"`{name}` stands inside arithmetic, which evaluates the value as code; "
                    f"{COMPARE_WITH_TEST}, and compute with `expr`"
                )

    def _use(self, word: Word, i: int, words: list[Word], cases: list[str]) -> int:
        """Put a word where it belongs: it may begin something else than a command."""
        if cases and cases[-1] != "body":
            self._use_in_case(word, i, cases)
        elif words:
            words.append(word)
            if words[0].raw == "function":
                self._end(words, [])
        elif word.raw == "esac" and cases:
            cases.pop()
        elif word.raw == "case":
            cases.append("subject")
        elif word.raw == "[[":
            return self._condition(i)
        elif is_value(word):
            self._assign(word)
        elif word.raw not in _RESERVED:
            words.append(word)
        return i

    def _use_in_case(self, word: Word, i: int, cases: list[str]) -> None:
        match cases[-1]:
            case "subject":
                cases[-1] = "in"
            case "in":
                if word.raw != "in":
                    raise self.not_understood(i, "a `case` without `in`")
                cases[-1] = "pattern"
            case _ if word.raw == "esac":
                cases.pop()

    def _assign(self, word: Word) -> None:
        self.assigned.append(word)
        found = ASSIGNMENT.match(word.raw)
        if found is None:
            return
        if self._is_tainted(word):
            self.tainted.add(found[1])
        if found[2]:
            self.computed.append(found[2])
        self._mark(problems_of_assignments([word]))

    def _is_tainted(self, word: Word) -> bool:
        return bool(word.holes) or not self.tainted.isdisjoint(word.names)

    def _end(self, words: list[Word], heres: list[Word]) -> None:
        """Look at a command that is whole."""
        self._mark(problems_of_command(words, heres))
        if self.lists:
            for at, word in enumerate(words):
                if word.holes and takes_list(words, at):
                    self.note_whole(word)
        name, rest = (words[0].program, words[1:]) if words else ("", [])
        if name in DECLARE:
            options = "".join(word.plain for word in rest if word.plain.startswith(("-", "+")))
            self.has_typed = self.has_typed or not set("in").isdisjoint(options)
            for word in filter(is_value, rest):
                self._assign(word)
        elif name in {"for", "select"} and any(map(self._is_tainted, rest[1:])):
            self.tainted.add(rest[0].plain)
        elif name in {"read", "mapfile", "readarray"} and any(map(self._is_tainted, heres)):
            self.tainted.update(word.plain for word in rest)
        elif name == "printf" and any(map(self._is_tainted, rest[2:])):
            self.tainted.update(word.plain.removeprefix("-v") for word in rest[:2])
        elif name == "let":
            self.computed += [word.raw for word in rest]
        words.clear()
        heres.clear()

    def _mark(self, problems: Iterable[Problem]) -> None:
        """Note why placeholders in these words cannot be quoted; variables are looked at later."""
        for word, why in problems:
            for at in (*word.holes, *word.nested):
                self.places[at].problem = self.places[at].problem or why
            self.evaluated += [(name, why) for name in word.names]

    def _redirection(self, operator: re.Match[str], heres: list[Word]) -> int:
        i = operator.end()
        if operator[0] in {"<<", "<<-"}:
            self.note_all(i, len(self.text), _HEREDOC)
            raise _HereDocument
        while i < self.stop and self.text[i] in " \t":
            i += 1
        word, i = self.word(i)
        if operator[0] == "<<<":
            heres.append(word)
        elif operator[0] in {"<&", ">&"}:
            why = f"after `{operator[0]}`, which takes a number; to write to a file use `>`"
            self._mark([(word, why)])
        return i

    def _parenthesis(self, i: int, words: list[Word], cases: list[str]) -> int:
        if cases and cases[-1] == "pattern":
            return i + 1
        is_loop = [word.raw for word in words] in (["for"], ["select"])
        if self.text.startswith("((", i) and (not words or is_loop):
            words.clear()
            return self.arithmetic(i + 2, "))")
        if not words:
            return self.code(i + 1, ")")
        function = _FUNCTION.match(self.text, i, self.stop)
        if function is None or len(words) != 1:
            raise self.not_understood(i, "a `(` inside a word")
        words.clear()
        return function.end()

    def _condition(self, i: int) -> int:
        """Read `[[ ... ]]`, up to what follows the `]]`."""
        words: list[Word] = []
        while i < self.stop:
            char = self.text[i]
            if char in " \t\n":
                i += 1
            elif self.text.startswith("\\\n", i):
                i = self.next_line(i)
            elif char in "()<>|&;":
                words.append(Word(char))
                i += 1
            else:
                is_regex = bool(words) and words[-1].raw == "=~"
                word, i = self._regex(i) if is_regex else self.word(i)
                if word.raw == "]]":
                    self._mark(problems_of_condition(words))
                    for at, each in enumerate(words):
                        if each.raw in NUMERIC:  # it evaluates what `$n` holds
                            self.computed += [w.raw for w in words[max(at - 1, 0) : at + 2]]
                    return i
                words.append(word)
        raise self.not_understood(i, "a `[[` that is not closed")

    def _regex(self, i: int) -> tuple[Word, int]:
        word, start, depth, known = Word(), i, 0, len(self.met)
        self.reasons.append(_REGEX)
        while i < self.stop and (depth > 0 or self.text[i] not in " \t\n"):
            depth += {"(": 1, ")": -1}.get(self.text[i], 0)
            i = self.piece(i, word)
        self.reasons.pop()
        self.end_word(word, start, i, known)
        return word, i
