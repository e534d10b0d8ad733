"""A placeholder of several things becomes a word for each, wherever a list can stand."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marin_build import StepSpec, command, source
from marin_build.errors import MarinBuildError
from marin_build.pipeline.command import Command
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NASTY = ["a b", "$(touch pwned)", "`touch pwned`", "it's", 'say "x"', "*", "", "-n", "a\nb", "{x}",
         "a[$(touch pwned)]", "-v", ";touch pwned"]  # fmt: skip
PRINT = "printf '<%s>' {x}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        yield tmp_path


def _argv(text: Any, values: list[Any], **more: Any) -> list[str]:
    declared = command(text, name="join", params={"x": values, **more})
    assert isinstance(declared.fn, Command)
    return declared.fn.argv("/out")


def _printed(text: str, values: list[str]) -> str:
    done = subprocess.run(_argv(text, values), capture_output=True, check=True)
    assert not os.path.exists("pwned")
    return done.stdout.decode()


@pytest.mark.parametrize("values", [NASTY, ["one"], NASTY * 20])
@pytest.mark.parametrize(
    "text",
    [
        PRINT,
        f"true; {PRINT} # as {{x}}",
        f"f() {{ {PRINT}; }}\nf other",
        f'printf "%s" "$({PRINT})"',
        "for v in {x}; do printf '<%s>' \"$v\"; done",
        "all=({x}); printf '<%s>' \"${all[@]}\"",
        'bash -c \'printf "<%s>" "$@"\' _ {x}',
    ],
)
def test_bash_gets_a_word_for_each(text: str, values: list[str]) -> None:
    """Else a file with a space in its name is two files, or its name is run."""
    assert _printed(text, values) == "".join(f"<{value}>" for value in values)


def test_an_empty_list_is_no_word() -> None:
    assert _printed("printf '%s' $# {x}", []) == "0"
    assert _printed("for v in {x}; do echo $v; done", []) == ""
    assert _argv(["cat", "{x}", "b"], []) == ["cat", "b"]


def test_words_get_a_word_for_each() -> None:
    assert _argv(["cat", "{x}", "--", "{{x}}"], NASTY) == ["cat", *NASTY, "--", "{x}"]
    code = 'printf "<%s>" "$@"'
    assert _argv(["bash", "-c", code, "_", "{x}"], NASTY) == ["bash", "-c", code, "_", *NASTY]


def test_steps_and_sources_come_in_their_order(folder: Path) -> None:
    """Else parts are joined in another order than the author wrote."""
    parts = [StepSpec(name=name) for name in ("b", "a", "c")]
    files = [source(folder / "z.txt"), source(folder / "y.txt")]
    joined = command(
        "cat {parts} {files} {last} > {output}/all",
        name="join",
        deps={"parts": parts, "last": parts[0]},
        inputs={"files": files},
    )
    assert isinstance(joined.fn, Command)
    places = [part.output_path for part in parts] + [str(each) for each in files]
    code = (
        'parts=("${@:1:3}"); files=("${@:4:2}"); set --; '
        'cat "${parts[@]}" "${files[@]}" "${last}" > "${output}"/all'
    )
    last = parts[0].output_path
    assert joined.fn.argv("/out") == [
        "env", f"last={last}", "output=/out", "bash", "-euo", "pipefail", "-c", code, "bash",
        *places,
    ]  # fmt: skip
    assert [dep.name for dep in joined.deps] == ["b", "a", "c", "b"]


@pytest.mark.parametrize(
    "text",
    [
        'cat "{x}"', "cat {x}/part.txt", "cat --in={x}", "v={x}", "cat > {x}", "cat < {x}",
        "cat <<< {x}", "case {x} in a) ;; esac", "[[ -f {x} ]]", "test -f {x}", "[ {x} = a ]",
        "{x} a", "exec {x}", "env {x}", "xargs -r {x}", "bash {x}", "bash -e {x}", "ssh {x}",
        "ssh host {x}", "bash -c {x}", "eval {x}", "printf {x}", "read {x}", "unset {x}",
        "export v={x}", "declare {x}", "for {x} in a; do :; done", "echo $(( {x} ))",
        "echo ${y:-{x}}", "echo '{x}'", "echo {a,{x}}", "set {x}",
        "timeout 5 {x}; sudo {x}", "command {x}",
    ],
)  # fmt: skip
def test_a_list_is_refused_where_it_cannot_stand(text: str) -> None:
    """Else it is one word, a redirection to the last of it, or code."""
    with pytest.raises(MarinBuildError, match=r"the placeholder \{x\} stands"):
        command(text, name="join", params={"x": ["a"]})


@pytest.mark.parametrize(
    "words",
    [["cat", "{x}/a"], ["{x}"], ["cat", "{x}{x}"], ["env", "{x}"], ["bash", "-e", "{x}"],
     ["bash", "-c", "{x}"], ["ssh", "{x}"], ["test", "-f", "{x}"]],
)  # fmt: skip
def test_a_list_among_words_is_a_word_of_its_own(words: list[str]) -> None:
    with pytest.raises(MarinBuildError, match=r"the placeholder \{x\} stands"):
        command(words, name="join", params={"x": ["a"]})
    with pytest.raises(MarinBuildError, match=r"the placeholder \{x\} stands"):
        command(words, name="join", deps={"x": [StepSpec(name="a")]})


@pytest.mark.parametrize("nested", [[[StepSpec(name="a")]], {"k": StepSpec(name="a")}])
def test_a_list_in_a_list_is_refused(nested: Any) -> None:
    says = r"`join` depends on a (tuple|list|dict), not a step"
    with pytest.raises(MarinBuildError, match=says) as caught:
        command("cat {x}", name="join", deps={"x": nested})
    assert "give the steps in one list" in caught.value.render()


_PARTS = st.sampled_from([
    "{x}", " {x} ", "echo ", "a", " ", ";", "=", '"', "$(", ")", "((", "))", "[[ ", " ]]",
    "printf ", "-v ", "bash ", "-c ", "eval ", "for v in ", "; do ", "; done", "case ", " in ",
    "> ", "<<< ",
    "test ", "[ ", " ]", "{a,", "}", "'", "a=(", "let ", "read ", "declare ", "$", "`", "env ",
    "ssh h ", "xargs ", "command ", "#", "\n", "set ", "function ", "trap ", "unset ", "~", "|",
])  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(_PARTS, min_size=2, max_size=9).map("".join))
def test_no_value_of_a_list_is_ever_run(text: str) -> None:
    """Whatever the code is: it is refused, or no value runs anything."""
    try:
        argv = _argv(text, ["-v", "a[$(touch pwned)]", "-c", "touch pwned", "touch", "pwned"])
    except MarinBuildError:
        return
    subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=240, check=False)
    assert not os.path.exists("pwned"), text
