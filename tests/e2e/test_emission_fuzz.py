"""Hostile values: each must arrive as it is, and none may be run."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from marin_build.text.secret_shapes import is_called_secret

from .support import Project, shellcheck

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

EXAMPLES = int(os.environ.get("E2E_EXAMPLES", "6"))

CLASSICS = [
    "", " ", "  two  blanks  ", "\t", "\n", "a\nb", "\nfirst empty", "last empty\n", "\r\n",
    "$(touch pwned)", "`touch pwned`", "; touch pwned;", "| touch pwned", "&& touch pwned &",
    "\ntouch pwned\n", "'; touch pwned; '", '"; touch pwned; "', "' $(touch pwned) '",
    '" $(touch pwned) "', "> pwned", "<(touch pwned)", "$HOME", "${HOME}", "${HOME:?pwned}", "$$",
    "$", "$'", '$"', "'", '"', "''", '""', "\\", "\\\\", "\\'", '\\"', "\\n", "a\\\nb", "*", "?",
    "[a-z]*", "~", "~root", "!", "!!", "!$", "#", "# no comment", "a #b", "-", "--", "-n", "-rf",
    "--help", "--target", "--set", "=", "a=b", "%", "%s", "%(x)s", "{", "}", "{}", "{a,b}",
    "{1..3}", "{x}", "{{x}}", "${x}", "${{x}}", "{{{x}}}", "{output}", "{{output}}", "{{ 7 * 7 }}",
    "{% raw %}", "{# no #}", "@", "&", "|", ";", "(", ")", "()", "<", "<<EOF", ">", "\u00e9",
    "e\u0301", "\u65e5\u672c\u8a9e", "\U0001f389", "\u202e", "\u2028", "\u00a0", "\ufeff", "\x7f",
    "\x1b[31m", "\x01", "\x85", "null", "true", "1e3", "0777", "-0", "..", "/", "a/../b",
]  # fmt: skip
AWKWARD = st.text(
    st.one_of(
        st.sampled_from(" \t\n'\"`$(){}[]<>|&;*?!~#%\\-=@^,:/.+x"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    max_size=12,
)
# Values are names of attributes, too, and what is called a secret is refused: test_secrets.py.
VALUES = st.lists(
    st.one_of(st.sampled_from(CLASSICS), AWKWARD).filter(
        lambda value: not is_called_secret(value, value)
    ),
    min_size=4,
    max_size=24,
)
FOLDERS = (
    st.one_of(st.sampled_from([c for c in CLASSICS if c]), AWKWARD)
    .map(lambda name: name.replace("/", "_")[:40])
    .filter(lambda name: name.strip(".") and name.isprintable() and not name.startswith("~"))
)

WAYS = {
    "bash": ["bash", "saved/run.sh"],
    "make": ["make", "-j3", "-f", "saved/Makefile"],
    "ninja": ["ninja", "-f", "saved/build.ninja"],
}

PIPELINE = """\
import json
from pathlib import Path

from marin_build import command, step

GIVEN = json.loads((Path(__file__).parent / "given.json").read_text())
VALUES, WORDS, LITERALS = GIVEN["values"], GIVEN["words"], GIVEN["literals"]
PARAMS = {f"p{i}": value for i, value in enumerate(VALUES)}
ENV = {f"E{i}": value for i, value in enumerate(VALUES)}


@step(description="\\n".join(VALUES), env_vars=ENV)
def function(output: Path, values: list, nested: dict, text: str) -> list:
    import os
    return [values, nested, text, [os.environ[name] for name in ENV]]


def pipeline(text: str):
    places = "".join(f" {{{name}}}" for name in PARAMS)
    env = "".join(f' "${name}"' for name in ENV)
    return [
        function(values=VALUES, nested={v: v for v in VALUES}, text=text),
        command(["python3", "dump.py", "{output}", *PARAMS_PLACES, *WORDS], name="argv",
                params=PARAMS, env_vars=ENV, description=text),
        command("python3 dump.py {output}" + places + env + LITERALS, name="shell",
                params=PARAMS, env_vars=ENV, description="".join(VALUES)),
    ]


PARAMS_PLACES = [f"<{{{name}}}>" for name in PARAMS]
"""
DUMP = """\
import json, pathlib, sys
pathlib.Path(sys.argv[1], "got.json").write_text(json.dumps(sys.argv[2:]))
"""
_NAME = re.compile(r"(?<!\$)\{([a-z_][a-z0-9_]*)\}")


def as_text(value: str) -> str:
    """Return how an author writes a word that is no placeholder."""
    return _NAME.sub(r"{{\1}}", value)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="E2E_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@example(values=CLASSICS[:40], folder="$(touch pwned)", text="`touch pwned`", way="make")
@example(
    values=CLASSICS[40:],
    folder="-rf 'it''s' \"q\" é",
    text="--set x=\n$(touch pwned)\n",
    way="ninja",
)
@given(values=VALUES, folder=FOLDERS, text=AWKWARD, way=st.sampled_from(sorted(WAYS)))
def test_values_arrive_as_they_are_and_are_never_run(
    tmp_path_factory: pytest.TempPathFactory, values: list[str], folder: str, text: str, way: str
) -> None:
    """Else a quote in somebody's data breaks a run, or a bracket in it deletes a disk."""
    project = Project(_folder(tmp_path_factory, "project"), _folder(tmp_path_factory, "home"))
    _write(project, values)
    try:
        _build_and_compare(project, values, folder, text, way)
    finally:
        project.clean_up()
    assert not [p for p in project.root.parent.rglob("*") if p.name == "pwned"]


def test_no_value_makes_shellcheck_complain(project: Project) -> None:
    """Else a script with an apostrophe in it looks broken, and reviewers learn to look away."""
    for values in (CLASSICS[:40], CLASSICS[40:]):
        _write(project, values)
        done = project.run("plan", "-o", "saved", "--prefix", "it's $(a) \\", "--set=text=x")
        assert done.code == 0
        shellcheck(*(project.root / "saved").rglob("*.sh"))


def _write(project: Project, values: list[str]) -> None:
    literals = "".join(" " + shlex.quote(as_text(value)) for value in values)
    given = {"values": values, "words": [as_text(v) for v in values], "literals": literals}
    project.write("marin-build.toml", "")
    project.write("dump.py", DUMP)
    project.write("given.json", json.dumps(given))
    project.pipeline(PIPELINE)


def _build_and_compare(
    project: Project, values: list[str], folder: str, text: str, way: str
) -> None:
    prefix = f"{folder}/out"
    planned = project.run(
        "plan", "-o", "saved", "--prefix", prefix, f"--set=text={text}", env={"x": "not this"}
    )
    assert planned.code == 0, planned.err
    shellcheck(*(project.root / "saved").rglob("*.sh"), severity="error")
    done = project.execute([*WAYS[way]], env=project.forking({"x": "not this"}))
    logs = [p.read_text() for p in (project.root / folder / "out").rglob("attempt-*.log")]
    assert (done.code, done.err) == (0, ""), logs
    outputs = project.root / folder / "out"
    (artifact,) = outputs.glob("function_*/.artifact.json")
    assert json.loads(artifact.read_text()) == [values, {v: v for v in values}, text, values]
    (argv,) = outputs.glob("argv_*/got.json")
    assert json.loads(argv.read_text()) == [*(f"<{v}>" for v in values), *values]
    (shell,) = outputs.glob("shell_*/got.json")
    assert json.loads(shell.read_text()) == [*values, *values, *values]
    again = project.run("apply", "--prefix", prefix, f"--set=text={text}")
    assert again.code == 0
    assert again.out.startswith("nothing to do: 3 targets are reused\n")


def _folder(factory: pytest.TempPathFactory, name: str) -> Path:
    made = factory.mktemp("fuzz") / name
    made.mkdir()
    return made
