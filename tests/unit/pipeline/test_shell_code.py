"""Placeholders in shell code: quoted wherever they stand, or refused."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from marin_build.pipeline.shell_code import shell_code


@pytest.mark.parametrize(
    ("written", "run"),
    [
        ("cat {x}", 'cat "${x}"'),
        ('cat "{x}"', 'cat "${x}"'),
        ('cat "{x}/a b" {x}', 'cat "${x}/a b" "${x}"'),
        ("cat {x}/{y}", 'cat "${x}"/"${y}"'),
        ("--in={x}", '--in="${x}"'),
        ("echo {{x}} '{{x}}'", "echo {x} '{x}'"),
        ("echo ${{x}}", "echo ${x}"),
        ("echo ${HOME} ${home} {a,b} {1..3}", "echo ${HOME} ${home} {a,b} {1..3}"),
        ("awk '{print $1}' {x}", "awk '{print $1}' \"${x}\""),
        ("jq '{a: .b}' {x}", "jq '{a: .b}' \"${x}\""),
        ('echo "it\'s" {x}', 'echo "it\'s" "${x}"'),
        ("echo 'a\"b' {x}", 'echo \'a"b\' "${x}"'),
        (r"echo \' {x}", r'echo \' "${x}"'),
        (r'echo "\"" {x}', r'echo "\"" "${x}"'),
        ("cat # it's a comment\ncat {x}", 'cat # it\'s a comment\ncat "${x}"'),
        ("cat a#'b' {x}", "cat a#'b' \"${x}\""),
        ("cat <<< {x}", 'cat <<< "${x}"'),
        ("echo {X} { x; }", "echo {X} { x; }"),
    ],
)
def test_placeholders_become_quoted_variables_and_other_braces_stay(written: str, run: str) -> None:
    assert shell_code(written) == run


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("awk '{x}' f", "single quotes"),
        ("echo 'a {x}", "single quotes"),
        ("cat <<EOF\n{x}\nEOF", "after `<<`"),
        ("cat <<-'EOF'\n{x}\nEOF", "after `<<`"),
    ],
)
def test_a_placeholder_that_no_quoting_fits_is_refused(written: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        shell_code(written)


_NASTY = ("a b", "$(touch pwned)", "`id`", "it's", 'say "x"', "*", "$HOME", "\\", "-n", " ", "a\nb")
_PLACES = [
    "printf '%s\\0' {x}",
    "printf '%s\\0' \"{x}\"",
    "printf '%s\\0' {x} # {x}",
    "printf '%s\\0' \"$(printf '%s.' {x})\"",
    "printf '%s\\0' \"$(printf '%s.' \"{x}\")\"",
    "printf '%s\\0' \"`printf '%s.' {x}`\"",
    "printf '%s\\0' $(printf '%s' {x} | od -An -tx1 | tr -d ' \\n')",
    "printf '%s\\0' {x}#\"a\"{x}",
    "v={x}; printf '%s\\0' \"$v\"",
    "[[ {x} == \"$x\" ]] && printf '%s\\0' same",
    "for v in {x} {x}; do printf '%s\\0' \"$v\"; done",
    "case {x} in \"$x\") printf '%s\\0' same;; esac",
    "tr -d '\\n' <<< {x}; printf '\\0'",
]


def _expected(place: str, value: str) -> list[str]:
    if "od -An" in place:
        return [value.encode().hex()]
    if "%s." in place:
        return [value + "."]
    if "same" in place:
        return ["same"]
    if '#"a"' in place:
        return [f"{value}#a{value}"]
    if "<<<" in place:
        return [value.replace("\n", "")]
    return [value, value] if "for v" in place else [value]


@pytest.mark.parametrize("place", _PLACES)
def test_bash_gives_the_program_the_value_wherever_the_placeholder_stands(place: str) -> None:
    code = shell_code(place)
    expected = [word for value in _NASTY for word in _expected(place, value)]
    runs = "\n".join(f"x={_ansi(value)}; {code}" for value in _NASTY)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", runs], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == expected


def _ansi(value: str) -> str:
    """The value in bash's $'...', each byte by number: quoting that needs no library of ours."""
    return "$'" + "".join(f"\\x{byte:02x}" for byte in value.encode()) + "'"


@pytest.mark.parametrize(
    "written",
    [
        "echo \"$(echo '{x}')\"",  # single quotes inside a substitution
        r"echo $'it\'s {x}'",  # ANSI-C quoting
        "echo {x}#'a {x}'",  # `#` inside a word begins no comment
        r"echo \{x}",  # the backslash would quote our quote
    ],
)
def test_a_placeholder_in_hidden_quotes_is_refused_or_right_but_never_silently_wrong(
    written: str,
) -> None:
    try:
        code = shell_code(written)
    except ValueError:
        return
    done = subprocess.run(["bash", "-c", f"x=VALUE; {code}"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"${" not in done.stdout
    assert done.stdout.count(b"VALUE") == written.count("{x}")


@pytest.mark.parametrize(
    "written",
    ["echo a;# it's\necho {x}", "echo a # {x}'s size\necho {x}"],
)
def test_an_apostrophe_in_a_comment_opens_no_quote(written: str) -> None:
    assert shell_code(written).endswith('echo "${x}"')


_FLAT = st.sampled_from(
    [
        "a",
        "{x}",
        "{x}",
        "{{x}}",
        "\\#",
        "\\'",
        "'a b'",
        "'{x}'",
        "$'it\\'s'",
        "$'{x}'",
        "#",
        "\\{x}",
    ]
)
_IN_QUOTES = st.sampled_from(["a", "{x}", "{{x}}", "'", '\\"', "#", " ", "<", "`echo {x}`"])


def _deeper(words: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Put words into a substitution, and substitutions into double quotes."""
    substitution = words.map("$(echo {})".format)
    quoted = st.lists(_IN_QUOTES | substitution, max_size=3).map("".join).map('"{}"'.format)
    return st.lists(_FLAT | substitution | quoted, min_size=1, max_size=3).map("".join)


_WORDS = st.lists(st.recursive(_FLAT, _deeper, max_leaves=6), min_size=1, max_size=3).map(" ".join)
_TAILS = st.sampled_from(["", " # it's {x}", "; # {x}'s\necho {x}", " <<< {x}", '; echo "{x}"'])


def _echoed(code: str) -> tuple[int, bytes, bytes]:
    done = subprocess.run(["bash", "--norc", "-c", code], env={"x": "VALUE"}, capture_output=True,
                          check=False)  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@settings(max_examples=60)
@given(words=_WORDS, tail=_TAILS)
@example(words='"$(echo "{x}")"', tail="")
@example(words="\"$(echo '{x}')\"", tail="")
@example(words="{x}#'a {x}'", tail="")
@example(words=r"$'it\'s {x}'", tail="")
@example(words="\"`echo '{{x}}'`{x}\"", tail="")
def test_with_a_harmless_value_nothing_shows_that_it_came_as_a_variable(
    words: str, tail: str
) -> None:
    """What bash does with the plain word in its place is what the author meant."""
    written = f"printf '[%s]' {words}{tail}"
    plain = written.replace("{{x}}", "\1").replace("{x}", "VALUE").replace("\1", "{x}")
    try:
        code = shell_code(written)
    except ValueError:
        return  # refused is never wrong
    assert _echoed(code) == _echoed(plain)
