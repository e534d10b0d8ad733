"""Words of a bash command that are read as code although they are quoted. Pure.

Quotes make a value one word. Some builtins and programs then read that word as code, as an
expression or as the name of a variable, and bash evaluates `a[$(command)]` in both of these.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING

from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


_QUOTES = re.compile(r"""\\\n|['"\\]""")


@dataclass(slots=True)
class Word:
    """A word of a command as it is written.

    Args:
        raw: as it is written.
        holes: where in the text placeholders stand in it.
        nested: where placeholders stand in substitutions in it, as `$(cat {x})`.
        names: variables that it reads, not counting those in substitutions.
        plain: it without its quotes.
        program: the name of the program that it may name.

    """

    raw: str = ""
    holes: list[int] = field(default_factory=list)
    nested: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    plain: str = ""
    program: str = ""

    def complete(self, raw: str) -> None:
        """Take how it is written, now that all of it was read."""
        self.raw = raw
        self.plain = _QUOTES.sub("", raw) if any(map(raw.__contains__, "'\"\\")) else raw
        self.program = self.plain.rpartition("/")[2]


Problem = tuple[Word, str]
"""A word that is read as code, and why a placeholder in it cannot be quoted, after `stands ...`."""

ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[[^]]*\])?\+?=")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NUMERIC = {"-eq", "-ne", "-lt", "-le", "-gt", "-ge"}
COMPARE_WITH_TEST = "use `test`, which takes plain numbers only: `test {n} -gt 3`"

_SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "rbash"}
_RUN_CODE_WITH_C = {*_SHELLS, "su", "runuser", "sg", "script", "flock"}
_RUN_CODE = {"parallel", "watch", "expect", "tmux", "screen", "at", "batch", "crontab"}
_EVALUATE = {"eval", "trap", "let", "alias", "bind", "complete", "compgen", "compopt", "fc"}
_TAKE_NAMES = frozenset(
    ["read", "mapfile", "readarray", "unset", "getopts", "coproc", "for", "select", "function"]
)
DECLARE = {"declare", "typeset", "local", "readonly", "export"}
_PREFIXES = {"command", "builtin", "exec", "!", "time", "nohup"}
_RUNNERS = _PREFIXES | frozenset(
    [
        "env",
        "sudo",
        "doas",
        "timeout",
        "nice",
        "ionice",
        "stdbuf",
        "setsid",
        "xargs",
        "chroot",
        "taskset",
        "numactl",
        "srun",
        "mpirun",
        "strace",
        "unbuffer",
        "find",
    ]
)
_SSH_PROGRAMS = {"ssh", "rsh", "slogin"}
_SPLIT = {"-S", "--split-string"}
_READ_CODE = {*_RUN_CODE_WITH_C, *_RUN_CODE, *_SSH_PROGRAMS, *_SPLIT}
_READ_MORE_THAN_VALUES = {*_READ_CODE, *_RUNNERS, "printf", "set", "wait", "exec", "enable"}
_SSH_WITH_VALUE = set("BbcDEeFIiJLlmOopQRSWw")
_EVALUATED_LATER = {"PS4", "PS0", "PROMPT_COMMAND", "BASH_ENV", "ENV"}
_BINARY = {*NUMERIC, "=", "==", "!=", "<", ">", "-nt", "-ot", "-ef"}
_UNARY = re.compile(r"-[abcdefghknoprstuwxzGLNOS]")
_NESTED = (
    "in code for another shell, which would read the value as code; hand it on as an argument, as "
    "in `bash -c 'wc -l \"$1\"' _ {v}`"
)
WHY_NO_LIST = (
    "for a list, which can only be an argument of its own, unquoted and with nothing beside it, as "
    'in `cat {v}`; for a file of each step give `[part / "a.txt" for part in parts]`, and '
    "`{v_list}` is the path of a text file with one a line"
)
_SSH = (
    "in the command of ssh, which another shell reads as code; hand the value on over standard "
    "input, as in `ssh host 'cat > file' <<< {v}`"
)


def problems_of_command(words: Sequence[Word], heres: Iterable[Word] = ()) -> Iterator[Problem]:
    """Yield the words that a simple command reads as code, or as something else than a value.

    Args:
        words: its words, assignments before it left out.
        heres: what is given it by `<<<`.

    """
    while words and words[0].program in _PREFIXES:
        words = words[1:]
    if not words:
        return
    name, rest = words[0].program, words[1:]
    if name in _EVALUATE:
        why = f"in the words of `{name}`, which evaluates them; call a function with it instead"
        yield from _all(rest, why)
    elif name in _TAKE_NAMES:
        count = 1 if name in {"for", "select", "function"} else len(rest)
        yield from _all(
            rest[:count], f"where `{name}` takes the name of a variable; write the name"
        )
    elif name in DECLARE:
        yield from _declarations(name, rest)
    elif name in {"test", "["}:
        yield from _test(name, rest)
    elif name == "printf":
        names = [
            word
            for before, word in zip(words, rest, strict=False)
            if word.plain.startswith("-v") or before.plain == "-v"
        ]
        yield from _all(names, "where `printf -v` takes the name of a variable; write the name")
    yield from words_for_shells(words, heres)


def _all(words: Iterable[Word], why: str) -> Iterator[Problem]:
    return ((word, why) for word in words)


def _declarations(name: str, words: Sequence[Word]) -> Iterator[Problem]:
    letters = "".join(word.plain[1:] for word in words if word.plain.startswith("-"))
    if set(letters) - set("gxr"):
        yield from _all(
            words, f"in `{name} -{letters}`, which may evaluate it; assign it first: `v={{v}}`"
        )
        return
    for word in words:
        if not is_value(word):
            yield from _all([word], f"where `{name}` takes the name of a variable; write the name")


def is_value(word: Word) -> bool:
    """Return whether a word is an assignment, with placeholders in its value alone."""
    found = ASSIGNMENT.match(word.raw)
    return found is not None and "{" not in found[0]


def problems_of_assignments(words: Iterable[Word]) -> Iterator[Problem]:
    """Yield assignments of variables that bash, or the next shell, evaluates by itself."""
    for word in words:
        found = ASSIGNMENT.match(word.raw)
        if found is not None and found[1] in _EVALUATED_LATER:
            yield from _all([word], f"in `{found[1]}`, which a shell reads as code; leave it out")


def _test(name: str, words: Sequence[Word]) -> Iterator[Problem]:
    """Yield words that `test` could take for an operator, or evaluates."""
    args = list(words[:-1]) if name == "[" else list(words)
    while len(args) > 1 and args[0].plain == "!" and not args[0].holes:
        del args[0]
    operator = args[-2] if len(args) in {2, 3} else None
    fits = len(args) <= 1 or (
        operator is not None
        and not operator.holes
        and (operator.plain in _BINARY if len(args) == 3 else _UNARY.fullmatch(operator.plain))  # noqa: PLR2004
    )
    if not fits:
        holders = [Word(word.raw, word.holes, word.nested) for word in args]  # `$v` is the author's
        yield from _all(
            holders,
            f"where `{name}` could take it for an operator, or evaluate it; write one comparison "
            "with a plain operator, as in `test {v} = a`, and join several with `&&`",
        )


def takes_list(words: Sequence[Word], at: int) -> bool:
    """Return whether the word of a command at this place may become any number of words.

    As the program, or where a shell, `printf` and what runs other programs read options, a list
    could become code.
    """
    last = at - 1
    while last >= 0 and words[last].plain.startswith("-"):
        last -= 1
    if last < 0 or words[0].program in {"test", "["}:
        return False
    if words[last].program in _SHELLS:  # perhaps the name of one: `bash -c CODE bash {v}`
        before = words[:last]
        return any(word.program in _SHELLS for word in before) and any(
            re.fullmatch(r"-[A-Za-z]*c", word.plain) for word in before
        )
    return words[last].program not in _READ_MORE_THAN_VALUES


def words_for_shells(words: Sequence[Word], heres: Iterable[Word] = ()) -> Iterator[Problem]:
    """Yield the words that programs give to another shell."""
    if _READ_CODE.isdisjoint([word.program for word in words]):
        return
    is_run = words[0].program in _RUNNERS
    for at, word in enumerate(words):
        rest = words[at + 1 :]
        if word.program in _RUN_CODE_WITH_C and not word.holes:
            yield from _after_c(rest)
            if word.program in _SHELLS and (at == 0 or is_run):
                yield from _all(heres, _NESTED)
        elif word.program in _RUN_CODE and (at == 0 or is_run):
            yield from _all(rest, _NESTED)
        elif word.program in _SSH_PROGRAMS and (at == 0 or is_run or _is_cloud(words)):
            yield from _all(_remote(rest), _SSH)
        elif word.plain in _SPLIT and words[0].program == "env":
            yield from _all(rest[:1], _NESTED)


def _is_cloud(words: Sequence[Word]) -> bool:
    return words[0].program in {"gcloud", "az"}


def _after_c(words: Sequence[Word]) -> Iterator[Problem]:
    """Yield the code after `-c`; words after the code are arguments of it."""
    for at, word in enumerate(words):
        if word.plain.startswith("--command="):
            yield from _all([word], _NESTED)
        if word.plain == "--command" or re.fullmatch(r"-[A-Za-z]*c.*", word.plain):
            if len(word.plain) > 2 and not word.plain[1:].isalpha():  # noqa: PLR2004 - `-c'code'`
                yield from _all([word], _NESTED)
            code = at + 1
            while code < len(words) and words[code].plain.startswith(("-", "+")):
                yield from _all([words[code]], _NESTED)
                code += 2 if words[code].plain.endswith("o") else 1
            yield from _all(words[code : code + 1], _NESTED)
            return


def _remote(words: Sequence[Word]) -> Sequence[Word]:
    """Return the words after the destination of ssh: the command for the shell there."""
    at = 0
    while at < len(words) and words[at].plain.startswith("-"):
        option = words[at].plain
        at += 2 if len(option) == 2 and option[1] in _SSH_WITH_VALUE else 1  # noqa: PLR2004
    return words[at + 1 :]


def problems_of_condition(words: Sequence[Word]) -> Iterator[Problem]:
    """Yield the words that `[[ ... ]]` evaluates."""
    for at, word in enumerate(words):
        before = words[at - 1].raw if at else ""
        after = words[at + 1].raw if at + 1 < len(words) else ""
        if before in NUMERIC or after in NUMERIC:
            yield from _all(
                [word], f"inside `[[ ]]` beside an operator that evaluates it; {COMPARE_WITH_TEST}"
            )
        elif before in {"-v", "-R"}:
            why = f"after `{before}`, which takes the name of a variable; write the name"
            yield from _all([word], why)
        elif before == "=~":
            yield from _all([word], "in a regular expression; compare with `==`, or use grep -F")
