"""Words of bash code: quotes, expansions, and the placeholders inside them. Pure.

It follows bash's grammar as far as quoting needs it. What it does not understand it refuses: a
placeholder there is an error, never a guess.
"""

from __future__ import annotations

import re
from dataclasses import field

from marin_build.pipeline.placeholders import PLACEHOLDER
from marin_build.pipeline.shell_words import ASSIGNMENT, IDENTIFIER, Word
from marin_build.quick_dataclass import dataclass

_ENDS_WORD = " \t\n;&|()<>"
_JOINED = re.compile(r"(?<=[^\s;&|])\\\n(?=\S)|(?<=[;&|])\\\n(?=[^\w\s./])")
_SIMPLE = re.compile(r"[A-Za-z0-9_./,%^:-]+(?=[ \t\n;])")
_PLAIN = re.compile(r"[A-Za-z0-9_./,+%^=:@-]+")
_PLAIN_IN_QUOTES = re.compile(r'[^"\\$`{]+')
_PLAIN_IN_SINGLE = re.compile(r"[^'\\{]+")
_COMPUTED_PART = re.compile(r"\[|:(?![-=?+])")
_ARITHMETIC = (
    "inside arithmetic, which evaluates it as code; compare with `test {n} -gt 3`, compute with "
    "`expr {n} + 1`"
)
_EXPANSION = "inside `${...}`; assign it first, as in `v={v}`, and write `${x:-$v}`"
_SINGLE = "inside single quotes; leave them out, it is quoted for you"
_BACKSLASH = "after a backslash; leave it out, it is quoted for you"
_BACKTICKS = "in back-ticks with a backslash; write `$(...)`"
_PATTERN = "inside a pattern `@(...)`; compare with the value alone"


class NotUnderstoodError(ValueError):
    """The code is not bash, or is written in a way that is not followed here."""


@dataclass(slots=True)
class Place:
    """A placeholder, and what it stands in.

    Args:
        found: the match of PLACEHOLDER.
        in_quotes: whether it stands in double quotes.
        problem: why it cannot be quoted there, after `stands ...`; None if it can.

    """

    found: re.Match[str]
    in_quotes: bool
    problem: str | None


@dataclass(slots=True)
class WordReader:
    """Reads words of a text up to `stop`; each method returns where what it reads ends.

    Args:
        text: bash code.
        stop: where it ends.
        places: the placeholders that were met, by where they begin.
        met: where these begin, in their order.
        reasons: why a placeholder cannot be quoted, of the contexts that are open; innermost last.
        computed: what bash evaluates as arithmetic.
        whole: the placeholders that are words of their own, where there may be several words.

    """

    text: str
    stop: int
    places: dict[int, Place] = field(default_factory=dict)
    met: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    computed: list[str] = field(default_factory=list)
    whole: set[int] = field(default_factory=set)

    def code(self, i: int, closer: str) -> int:
        """Read commands up to the end, or up to the `)` of a substitution."""
        raise NotImplementedError

    def word(self, i: int) -> tuple[Word, int]:
        """Read a word, at least one character of it."""
        if simple := _SIMPLE.match(self.text, i, self.stop):
            raw = simple[0]
            return Word(raw, plain=raw, program=raw.rpartition("/")[2]), simple.end()
        word, start, braces, bracket = Word(), i, 0, False
        known = len(self.met)
        while i < self.stop:
            if plain := _PLAIN.match(self.text, i, self.stop):
                i = plain.end()
                continue
            char = self.text[i]
            found = PLACEHOLDER.match(self.text, i, self.stop) if char == "{" else None
            if found is not None and found[2]:
                why = _why_not(self.text[start:i], braces, bracket=bracket)
                i = self._hole(found, word, why)
            elif found is not None or self.is_process(i):
                i = self.piece(i, word)
            elif char == "(" and i > start:
                value = self.text[start:i]
                if ASSIGNMENT.fullmatch(value):
                    i = self._array(i + 1, word)
                elif value[-1] in "@?*+!":
                    i = self._pattern(i + 1, word)
                else:
                    break
            elif char in _ENDS_WORD:
                break
            else:
                braces = max(0, braces + {"{": 1, "}": -1}.get(char, 0))
                bracket = char == "[" or (bracket and char != "]")
                i = self.piece(i, word)
        if i == start:
            raise self.not_understood(i, "an operator without a word")
        self.end_word(word, start, i, known)
        return word, i

    def end_word(self, word: Word, start: int, end: int, known: int) -> None:
        """Complete a word: what it is, and which placeholders stand in substitutions in it.

        Args:
            word: the word; it has its own placeholders.
            start, end: where it stands.
            known: the number of placeholders before it.

        """
        word.complete(self.text[start:end])
        if len(self.met) > known + len(word.holes):
            own = set(word.holes)
            word.nested = [at for at in self.met[known:] if at not in own]

    def _array(self, i: int, word: Word) -> int:
        """Read the elements of `a=(...)`."""
        while i < self.stop and self.text[i] != ")":
            if self.text[i] in " \t\n":
                i += 1
            elif self.text[i] == "#":
                i = self.comment(i)
            else:
                element, i = self.word(i)
                if element.raw.startswith("[") and "]" not in element.raw:
                    raise self.not_understood(i, "a subscript with a space in it")
                word.holes += element.holes
                self.note_whole(element)
        return self._closed(i)

    def note_whole(self, word: Word) -> None:
        """Note a word, which may as well be several, if it is nothing but a placeholder."""
        if word.holes and (found := PLACEHOLDER.fullmatch(word.raw)) and found[2]:
            self.whole.update(word.holes)

    def _pattern(self, i: int, word: Word) -> int:
        """Read an extended pattern, `@(a|b)`."""
        self.reasons.append(_PATTERN)
        while i < self.stop and self.text[i] != ")":
            i = self._pattern(i + 1, word) if self.text[i] == "(" else self.piece(i, word)
        self.reasons.pop()
        return self._closed(i)

    def _closed(self, i: int) -> int:
        if i >= self.stop:
            raise self.not_understood(i, "a bracket that is not closed")
        return i + 1

    def piece(self, i: int, word: Word) -> int:
        """Read one character outside double quotes, or what it begins."""
        char = self.text[i]
        if char == "{" and (found := PLACEHOLDER.match(self.text, i, self.stop)):
            return self._hole(found, word, None)
        if char == "\\":
            return self._escaped(i, word)
        if char == "'":
            return self._single(i + 1, word, is_ansi=False)
        if char == '"':
            return self._double(i + 1, word)
        if self.is_process(i):
            return self.code(i + 2, ")")
        return self._expansion(i, word, in_quotes=False)

    def _expansion(self, i: int, word: Word, *, in_quotes: bool) -> int:
        """Read what `$` or a back-tick begins, else one character."""
        text = self.text
        if text[i] == "`":
            return self._backticks(i + 1)
        if text[i] != "$" or i + 1 >= self.stop:
            return i + 1
        if text.startswith("$((", i):
            return self.arithmetic(i + 3, "))")
        if text.startswith("$(", i):
            return self.code(i + 2, ")")
        if text.startswith("$[", i):
            return self.arithmetic(i + 2, "]")
        if text.startswith("${{", i) and (found := PLACEHOLDER.match(text, i + 1, self.stop)):
            self._meet(Place(found, in_quotes, None))
            return found.end()
        if text.startswith("${", i):
            return self._parameter(i + 2, word, in_quotes=in_quotes)
        if name := IDENTIFIER.match(text, i + 1, self.stop):
            word.names.append(name[0])
            return name.end()
        if text.startswith("$'", i) and not in_quotes:
            return self._single(i + 2, word, is_ansi=True)
        return i + (2 if text[i + 1] in "#$" else 1)

    def _hole(
        self, found: re.Match[str], word: Word, why: str | None, *, in_quotes: bool = False
    ) -> int:
        problem = (self.reasons[-1] if self.reasons else why) if found[2] else None
        self._meet(Place(found, in_quotes, problem))
        if found[2]:
            word.holes.append(found.start())
        return found.end()

    def _meet(self, place: Place) -> None:
        at = place.found.start()
        self.places[at] = place
        self.met.append(at)

    def next_line(self, i: int) -> int:
        """Pass over a backslash at the end of a line, unless it joins what is one word or operator.

        Bash leaves both characters out before it reads on: `$` and `((` in the next line are one.
        """
        if _JOINED.match(self.text, i):
            raise self.not_understood(i, "a `\\` at its end that joins two lines to a word")
        return i + 2

    def _escaped(self, i: int, word: Word) -> int:
        if self.text.startswith("\\\n", i):
            return self.next_line(i)
        found = PLACEHOLDER.match(self.text, i + 1, self.stop)
        return i + 2 if found is None else self._hole(found, word, _BACKSLASH)

    def _single(self, i: int, word: Word, *, is_ansi: bool) -> int:
        self.reasons.append(_SINGLE)
        while i < self.stop and self.text[i] != "'":
            if is_ansi and self.text[i] == "\\":
                i = self._escaped(i, word)
            elif found := PLACEHOLDER.match(self.text, i, self.stop):
                i = self._hole(found, word, None)
            else:
                plain = _PLAIN_IN_SINGLE.match(self.text, i, self.stop)
                i = plain.end() if plain else i + 1
        end = self._closed(i)
        self.reasons.pop()
        return end

    def _double(self, i: int, word: Word) -> int:
        while i < self.stop and self.text[i] != '"':
            if self.text[i] == "\\":
                i = self._escaped(i, word)
            elif found := PLACEHOLDER.match(self.text, i, self.stop):
                i = self._hole(found, word, None, in_quotes=True)
            elif plain := _PLAIN_IN_QUOTES.match(self.text, i, self.stop):
                i = plain.end()
            else:
                i = self._expansion(i, word, in_quotes=True)
        return self._closed(i)

    def _backticks(self, i: int) -> int:
        """Read what stands in back-ticks: code of its own, up to the next back-tick."""
        end = i
        while end < self.stop and self.text[end] != "`":
            end += 2 if self.text[end] == "\\" else 1
        self._closed(end)
        if "\\" in self.text[i:end]:
            self.note_all(i, end, _BACKTICKS)
            return end + 1
        outer, self.stop = self.stop, end
        self.code(i, "")
        self.stop = outer
        return end + 1

    def _parameter(self, i: int, word: Word, *, in_quotes: bool) -> int:
        """Read `${...}`, up to what follows its brace."""
        self.reasons.append(_EXPANSION)
        start = i
        while i < self.stop and self.text[i] != "}":
            if self.text[i] == "'" and in_quotes:
                raise self.not_understood(i, 'a single quote inside `"${...}"`')
            i = self.piece(i, word)
        self.reasons.pop()
        inner = self.text[start:i]
        word.names += IDENTIFIER.findall(inner)
        if inner.startswith("!") or inner.endswith("@P"):  # its value is read as code
            self.computed.append(inner)
        elif computed := _COMPUTED_PART.search(inner):  # `${a[n]}`, `${x:n}`
            self.computed.append(inner[computed.end() :])
        return self._closed(i)

    def arithmetic(self, i: int, closer: str) -> int:
        """Read arithmetic, up to what follows it."""
        self.reasons.append(_ARITHMETIC)
        start, depth, word = i, 0, Word()
        while i < self.stop:
            if depth == 0 and self.text.startswith(closer, i):
                self.reasons.pop()
                self.computed.append(self.text[start:i])
                return i + len(closer)
            depth += {"(": 1, ")": -1, "[": 1, "]": -1}.get(self.text[i], 0)
            if depth < 0:
                break
            i = self.piece(i, word)
        raise self.not_understood(i, "arithmetic that is not closed; write a subshell as `$( (`")

    def comment(self, i: int) -> int:
        """Read a comment, up to the end of its line; nothing in it has an effect."""
        end = self.text.find("\n", i, self.stop)
        end = self.stop if end < 0 else end
        self.note_all(i, end, None)
        return end

    def is_process(self, i: int) -> bool:
        """Return whether `<(...)` or `>(...)` begins there."""
        return self.text.startswith(("<(", ">("), i)

    def not_understood(self, i: int, what: str) -> NotUnderstoodError:
        """Return the error that names what is not understood, and its line."""
        line = self.text.count("\n", 0, i) + 1
        return NotUnderstoodError(f"line {line} has {what}")

    def note_all(self, i: int, end: int, problem: str | None) -> None:
        """Note the placeholders of a part that is not read in detail."""
        for found in PLACEHOLDER.finditer(self.text, i, end):
            self._meet(Place(found, False, problem))
            if problem is None:  # a comment
                self.whole.add(found.start())


def _why_not(before: str, braces: int, *, bracket: bool) -> str | None:
    """Return why a placeholder after this part of its word cannot be quoted."""
    if braces:
        return "inside a brace expansion; write the words out"
    if bracket:
        return "inside `[...]`, a pattern or a subscript; match with `case` or `grep -F`"
    tail = re.split(r"[=:]", before)[-1]
    if tail.startswith("~") and "/" not in tail:
        return "after `~`; write the folder out"
    return None
