"""Contexts x values against a real bash: a value is one word wherever it is let in."""

from __future__ import annotations

import os
import subprocess
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marin_build.pipeline.shell_code import check_words, shell_code

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PWN = "touch pwned"
VALUES = (
    "",
    " ",
    "a b",
    "a\nb\n",
    "it's",
    'say "x"',
    "*",
    "~",
    "-n",
    "-v",
    "!",
    "(",
    "=",
    "\\",
    "\\\\x",
    "$HOME",
    "${x}",
    "{a,b}",
    "[a-z]",
    "^.*$",
    "é\u202e",
    f"$({PWN})",
    f"`{PWN}`",
    f"; {PWN} #",
    f"'; {PWN}; '",
    f'"; {PWN}; "',
    f"\n{PWN}\n",
    f"| {PWN}",
    f") {PWN}",
    f"x) {PWN};; y",
    f"esac; {PWN}",
    f"}}; {PWN}",
    f"]]; {PWN}",
    f"a[$({PWN})]",
    f"a[0$({PWN})]=1",
    f"x[$({PWN} >&2)]+1",
    f"\\$({PWN})",
    f"'$({PWN})'",
    f"\\`{PWN}\\`",
    "$'\\n'",
    "7",
    "0x10",
    "16#ff",
    "1e3",
)
RIGHT = (
    "printf '<%s>' {x}",
    "printf '<%s>' \"{x}\"",
    "printf '%s%s%s' '<' {x} '>'",
    "printf '%s' \"<{x}>\"",
    "printf '%s' '<'{x}'>'",
    "v={x}; printf '<%s>' \"$v\"",
    'v="{x}"; printf \'<%s>\' "${{v}}"',
    "v=a; v+={x}; printf '<%s>' \"${v#a}\"",
    "export V={x}; printf '<%s>' \"$V\"",
    "f() { local v={x}; printf '<%s>' \"$v\"; }; f",
    "readonly v={x}; printf '<%s>' \"$v\"",
    'V={x} bash -c \'printf "<%s>" "$V"\'',
    'env V={x} bash -c \'printf "<%s>" "$V"\'',
    'bash -c \'printf "<%s>" "$1"\' _ {x}',
    'bash -euo pipefail -c \'printf "<%s>" "$1"\' _ {x}',
    'xargs -a /dev/null -n 1 sh -c \'printf "<%s>" "$1"\' _ {x}',
    "set -- {x}; printf '<%s>' \"$1\"",
    "f() { printf '<%s>' \"$1\"; }; f {x}",
    "a=({x} b); printf '<%s>' \"${a[0]}\"",
    "a=(c\n{x} # {x}\n); printf '<%s>' \"${a[1]}\"",
    "for v in {x}; do printf '<%s>' \"$v\"; done",
    "printf '<'; cat <<< {x} | head -c -1; printf '>'",
    "printf '<'; cat <(printf %s {x}); printf '>'",
    "printf '<%s>' {x} > f; cat f",
    "case {x} in \"$x\") printf '<%s>' {x};; *) printf no;; esac",
    "case \"$x\" in {x}) printf '<%s>' {x};; *) printf no;; esac",
    "[[ {x} == \"$x\" ]] && printf '<%s>' {x}",
    "[[ \"$x\" == {x} && -n a || ( -f {x} ) ]] && printf '<%s>' {x}",
    "[[ a{x} == *{x} ]] && printf '<%s>' {x}",
    "[ {x} = \"$x\" ] && printf '<%s>' {x}",
    "test {x} = \"$x\" && printf '<%s>' {x}",
    "[ ! -f {x} ] 2> /dev/null && printf '<%s>' {x}",
    "if ! test -f {x}; then printf '<%s>' {x}; fi",
    "declare V={x}; printf '<%s>' \"$V\"",
    "printf -v v %s {x}; printf '<%s>' \"$v\"",
    "IFS= read -rd '' v <<< {x} || printf '<%s>' \"${v%?}\"",
    "command printf '<%s>' {x}",
    "printf '<%s>' {x} 2>&1 # it's {x} `",
    "printf '<%s>' {x} \\\n",
    "printf \\\n  '<%s>'\\\n {x}",
    "echo 'a\\\nb' > f # \\\nprintf '<%s>' {x}",
    "true &&\\\nprintf '<%s>' {x}",
    "cat /dev/null <<'E'; printf '<%s>' never\nE\nprintf '<%s>' \"$x\" # {{x}}",
    "n=$(wc -l < /dev/null); m=$((n + 1)); printf '<%s>' {x}",
    'a=(1 2); printf \'<%s>\' "${a[1]+"{{x}}"}"',
)
"""They print the value in angle brackets; the last ones print something else without it."""
WRAPPERS = (
    "{}",
    "({})",
    "{{ {}\n}}",
    'printf %s "$({}\n)"',
    'printf %s "$(case q in q) {}\n;; esac)"',
    'printf %s "$(case q in (q|r) {}\n;; *) no;; esac)"',
    'printf %s "`{}\n`"',
    "cat <({}\n)",
    "if true; then {}\nfi",
    "while true; do {}\nbreak; done",
    "case q in\n  a) no ;;\n  q) {}\n  ;;\nesac",
    "f2() {{ {}\n}}; f2",
    "true && {}",
    "false || {}",
    "true | {{ {}\n}}",
    "! false; {}",
    'echo \'it"s\' "it\'s $(echo ")")" > /dev/null; {}',
    "# it's a ( comment `\n{}",
    "for ((i = 0; i < 1; i++)); do {}\ndone",
    "(( 1 << 1 )); {}",
    "[[ a =~ ^(a|b)$ ]]; {}",
    "echo ${{#HOME}} $# $$ > /dev/null; {}",
    "echo $'it\\'s' > /dev/null; {}",
    "echo $(( (1 + 2) * 3 )) > /dev/null; {}",
)
WRONG = (
    "printf '<%s>' $(( {x} ))",
    "printf '<%s>' \"$(( {x} + 1 ))\"",
    "printf '<%s>' $[ {x} ]",
    "(( {x} )) && echo",
    "(( n = {x} ))",
    "((n={x})); echo",
    "for (( i = 0; i < {x}; i++ )); do :; done",
    "let n={x}",
    "let 'n = 1' \"n+={x}\"",
    "[[ {x} -gt 3 ]]",
    "[[ 3 -le {x} ]]",
    '[[ a == a && "{x}" -eq 1 ]]',
    "[[ -n a || ( {x} -ne 3 ) ]]",
    "[[ $(echo {x}) -gt 3 ]]",
    "[[ -v {x} ]]",
    "[[ -R {x} ]]",
    "[[ a =~ {x} ]]",
    "[[ a =~ ^{x}$ ]]",
    "[[ a =~ ^(a|{x})$ ]]",
    "[[ a == [{x}] ]]",
    "[[ a == @({x}|b) ]]",
    "n={x}; echo $((n + 1))",
    "n={x}; m=$n; (( m > 3 ))",
    "echo {x} $((x + 1))",
    "n={x}; [[ $n -gt 3 ]]",
    "for n in 1 {x}; do echo $((n)); done",
    "read -r n <<< {x}; echo $((n))",
    "f() { echo $(($1 + 1)); }; f {x}",
    "set -- {x}; echo $(( ${1} ))",
    "a=(1 2); echo ${a[{x}]}",
    "a=(1 2); n={x}; echo ${a[n]}",
    "a[{x}]=1",
    "a[x]=1; echo {x}",
    "a=([{x}]=1)",
    "a=([ {x}]=1)",
    "a=([ {x} ]=1)",
    "s=abc; n={x}; echo ${s:n}",
    "n={x}; echo ${!n}",
    "n={x}; echo ${n@P}",
    "declare -i n; n={x}",
    "declare -i n={x}",
    "typeset -ri n={x}",
    "local -i n={x}",
    "declare -n n={x}",
    "declare {x}=1",
    "export {x}",
    "unset {x}",
    "unset 'a[{x}]'",
    "read {x} < /dev/null",
    "mapfile {x} < /dev/null",
    "printf -v {x} a",
    "printf -v{x} a",
    "printf -v v -v {x} a",
    "printf -v 'a['{x}']' b",
    "test -v {x}",
    "[ -v {x} ]",
    "[ ! -v {x} ]",
    "[ {x} {x} ]",
    "[ -n a -a {x} {x} ]",
    "test {x} -o {x}",
    "[ a {x} b ]",
    "echo ${y:-{x}}",
    'echo "${y:-{x}}"',
    'echo ${y:-"{x}"}',
    'echo "${y/a/{x}}"',
    "echo ${y#{x}}",
    "eval echo {x}",
    'eval "echo {x}"',
    'eval "$(echo echo {x})"',
    "command eval echo {x}",
    "e\\\nval echo {x}",
    'v={x}; eval "echo $v"',
    'v={x}; bash -c "echo $v"',
    "v={x}; ssh host echo $v",
    "v={x}; unset $v",
    "printf -v v %s {x}; declare $v",
    "v={x}; declare -i n=$v",
    'v={x}; trap "echo ${v}" EXIT',
    'echo {x}; eval "echo $x"',
    "builtin eval {x}",
    "trap {x} EXIT",
    'trap "echo {x}" EXIT',
    "alias a={x}",
    "compgen -W {x}",
    "coproc eval {x}",
    "bash -c {x}",
    'bash -c "echo {x}"',
    "bash -c 'echo '{x}",
    'bash -ec "echo {x}"',
    'bash -eu -o pipefail -c "echo {x}"',
    'bash -c -e "echo {x}"',
    '/bin/sh -c "echo {x}"',
    '"bash" -c "echo {x}"',
    'env A=1 sh -c "echo {x}"',
    'timeout 5 bash -c "echo {x}"',
    'echo a | xargs sh -c "echo {x}"',
    'find . -exec sh -c "echo {x}" _ \\;',
    'nohup bash -lc "echo {x}" &',
    "bash <<< {x}",
    'sh <<< "echo {x}"',
    'su ada -c "echo {x}"',
    "ssh host echo {x}",
    'ssh host "echo {x}"',
    'ssh -p 22 -i key ada@host "echo {x}"',
    "timeout 9 ssh host {x}",
    'gcloud compute ssh vm --command "echo {x}"',
    'env -S "echo {x}"',
    'watch "ls {x}"',
    'parallel "echo {x}" ::: a',
    "PS4={x}; set -x",
    "BASH_ENV={x} bash x.sh",
    "echo `echo \\`echo {x}\\``",
    'echo "`echo \\"{x}\\"`"',
    "echo $'a {x}'",
    "echo '{x}'",
    "echo \\{x}",
    'echo "\\{x}"',
    "echo ~{x}",
    "v=~{x}",
    "P=a:~{x}",
    "echo {a,{x}}",
    "echo {1..{x}}",
    "echo [{x}]*",
    "ls @({x}|b)",
    "ls !({x})",
    "cat <<E\n{x}\nE",
    "cat <<'E'\n{x}\nE",
    "cat <<-E\n\t{x}\nE",
    "cat <<E\n# {x}\nE",
    'echo "$(cat <<E\n{x}\nE\n)"',
    "eval {x} <<E\nE",
    "cat <&{x}",
    "cat >\\\n&{x}",
    "echo $\\\n(({x}))",
    "[\\\n[ {x} -gt 3 ]]",
    'echo "$\\\n(( {x} ))"',
    "echo a >&{x}",
    "for {x} in a; do :; done",
    "function {x} { :; }",
    "echo $(( $(echo {x}) ))",
    "echo $((echo {x}) | cat)",
)  # fmt: skip


BROKEN = (
    'echo "{x}',
    "echo $(echo {x}",
    "echo {x})",
    "case {x} in a",
    "case {x} a)",
    "[[ {x}",
    "a | > ; {x}",
)


@pytest.fixture
def bash(tmp_path: Path) -> _Bash:
    """Runs code once for each value of `x`, in an empty folder."""
    return _Bash(tmp_path)


class _Bash:
    """Runs code with values in the environment, as a command step does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, code: str, values: Sequence[str]) -> list[bytes]:
        """Return what the code prints for each value, run as a step runs it."""
        driver = (
            'for x in "${@:2}"; do export x; (set -euo pipefail; eval "$1") 2> err || true; '
            "printf '\\1'; done"
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", driver, "_", code, *values],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
        )
        return done.stdout.split(b"\1")[:-1]

    @property
    def is_owned(self) -> bool:
        """Whether a value was run."""
        return (self.folder / "pwned").exists()


def _written(wrapper: str, context: str) -> str:
    return wrapper.replace("{{", "\1").replace("}}", "\2").replace("{}", context).replace(
        "\1", "{"
    ).replace("\2", "}")  # fmt: skip


@pytest.mark.parametrize("context", WRONG, ids=ascii)
def test_a_context_that_reads_a_value_as_code_is_refused(context: str) -> None:
    """Else a parameter `a[$(rm -rf ~)]` runs, although it is quoted."""
    for wrapper in ("{}", "true; {}", "if true; then {}\nfi", 'printf %s "$({}\n)"', "({}\n)"):
        with pytest.raises(ValueError, match=r"stands|cannot be quoted"):
            shell_code(_written(wrapper, context))


@pytest.mark.parametrize(
    "words",
    [
        ["bash", "-c", "echo {x}"],
        ["/bin/bash", "-eu", "-o", "pipefail", "-c", "echo '{x}'"],
        ["env", "A=1", "sh", "-lc", 'echo "{x}"'],
        ["timeout", "5", "bash", "-c", "{x}"],
        ["xargs", "-a", "/dev/null", "sh", "-c", "echo {x}"],
        ["ssh", "host", "echo", "{x}"],
        ["ssh", "-p", "22", "host", "echo {x}"],
        ["su", "ada", "-c", "echo {x}"],
        ["watch", "{x}"],
    ],
    ids=" ".join,
)
def test_a_list_of_words_gives_no_value_to_a_shell_as_code(words: list[str]) -> None:
    """Nothing quotes it there at all."""
    with pytest.raises(ValueError, match=r"the placeholder \{x\} stands in"):
        check_words(words, {"output"})
    check_words([word.replace("{x}", "{output}") for word in words], {"output"})


@pytest.mark.parametrize(
    "words",
    [
        ["bash", "-c", 'echo "$1"', "_", "{x}"],
        ["bash", "{x}", "-c", "{{x}}"],
        ["bash", "script.sh", "{x}"],
        ["echo", "-c", "{x}"],
        ["ssh", "{x}", "uptime"],
        ["python", "train.py", "--lr", "{x}", "-c", "{x}"],
    ],
    ids=" ".join,
)
def test_a_list_of_words_hands_values_on(words: list[str]) -> None:
    check_words(words, {"output"})


@pytest.mark.parametrize("context", BROKEN)
def test_code_that_does_not_end_as_it_begins_is_refused(context: str) -> None:
    """Nobody knows what bash makes of it, line by line."""
    with pytest.raises(ValueError, match="cannot be quoted: line 1 has"):
        shell_code(context)


@pytest.mark.parametrize("context", RIGHT, ids=ascii)
def test_a_value_is_printed_as_it_is_in_every_context(context: str, bash: _Bash) -> None:
    """Else bash splits, expands or runs what a parameter, a path or an input is called."""
    code = shell_code(context)
    prints = "{x}" in context.replace("{{x}}", "").replace("# {x}", "")
    found = bash(code, VALUES)
    for value, text in zip(VALUES, found, strict=True):
        if prints and "xargs" not in context:
            assert text == f"<{value}>".encode(), value
    assert not bash.is_owned


@pytest.mark.parametrize("wrapper", WRAPPERS, ids=ascii)
def test_a_value_is_printed_as_it_is_inside_other_code(wrapper: str, bash: _Bash) -> None:
    """Else `case` in a substitution, a comment or a function hides from us where quotes are."""
    count = 0
    for context in (*RIGHT[:6], *RIGHT[22:27]):
        written = _written(wrapper, context)
        try:
            code = shell_code(written)
        except ValueError:
            assert "`" in wrapper, (
                written
            )  # with a backslash inside; `$(...)` can always be written
            continue
        count += 1
        values = VALUES[:: 1 if context == RIGHT[0] else 4]
        for value, text in zip(values, bash(code, values), strict=True):
            assert text == f"<{value}>".encode(), (written, value)
    assert count > 5
    assert not bash.is_owned


def test_contexts_in_contexts_are_right_or_refused(bash: _Bash) -> None:
    """Two levels of other code, a few values that tell most."""
    values = [VALUES[2], VALUES[5], *(value for value in VALUES if PWN in value)][::3]
    for outer, inner in product(WRAPPERS, WRAPPERS):
        try:
            code = shell_code(_written(outer, _written(inner, RIGHT[0])))
        except ValueError:
            assert "`" in outer + inner or inner.startswith("("), (outer, inner)  # `((`
            continue
        for value, text in zip(values, bash(code, values), strict=True):
            assert text == f"<{value}>".encode(), (outer, inner, value)
    assert not bash.is_owned


# fmt: off
_TOKENS = st.sampled_from([
    " ", " ", " ", "\n", ";", "{x}", "{x}", "{x}", '"{x}"', "echo ", "a", "1", "=", "a=", "$",
    "$((", "))", "((", "$(", "(", ")", "[[ ", " ]]", "[ ", " ]", " -gt ", " =~ ", " == ",
    " -v ", "case ", " in ", ";;", " esac", '"', "`", "${y:-", "${", "}", "{ ", "; }", "let ",
    "eval ", "declare ", "declare -i ", "a[", "]", "'", "$'", "#", " # ", "|", "&&", "<<< ",
    "> f ", "<(", "test ", "unset ", "bash -c ", "for n in ", "; do ", "; done", "if ",
    "; then ", "; fi", "\\", "\\\n", "@(", "~", "n", "((n))", "$n", "read n ", "f() ", "!",
    "$(( n ))", "printf -v ", "trap ", ":", ",", "..", "function ",
])
# fmt: on


@settings(max_examples=150, deadline=None)
@given(st.lists(_TOKENS, min_size=3, max_size=14).map("".join))
def test_no_value_is_ever_run(tmp_path_factory: pytest.TempPathFactory, written: str) -> None:
    """Whatever the code is: it is refused, or no value runs anything."""
    try:
        code = shell_code(written)
    except ValueError:
        return
    if "{x}" in written:
        bash = _Bash(tmp_path_factory.mktemp("fuzz"))
        bash(code, [value for value in VALUES if PWN in value][::2])
        assert not bash.is_owned, written
