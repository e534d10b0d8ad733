"""Every filter against the program that reads its result: a wrong one runs a value as code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml as pyyaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from marin_build.emit import quoting
from marin_build.pipeline.command import PathPart, join_word
from marin_build.text.readable import printable
from marin_build.workspace.workspace import Workspace

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NASTY = [
    "",
    "it's",
    '"',
    "$(id)",
    "`id`",
    "a b",
    "*",
    "~",
    "-n",
    "\\",
    "!x",
    "a\nb",
    "\r",
    "é🦊",
    "#",
]


def _bash(script: str) -> list[bytes]:
    """Run one bash on a script; return what it printed, split at zero bytes."""
    done = subprocess.run(
        ["bash", "--norc", "-euo", "pipefail"], input=script.encode("utf-8", "surrogateescape"),
        capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout.split(b"\0")[:-1]


@settings(max_examples=25)
@given(st.lists(TEXT, min_size=1, max_size=40))
@example(NASTY)
@example(["\udcff\udc80"])  # a file name that is not UTF-8
def test_bash_gets_back_every_value(values: list[str]) -> None:
    script = "".join(f"printf '%s\\0' {quoting.sh(value)}\n" for value in values)
    assert _bash(script) == [value.encode("utf-8", "surrogateescape") for value in values]


HERE = Workspace("/work/my project", "/work/my project/out")
FILTERED = quoting.words_filter(HERE)
PARTS = (
    TEXT
    | st.builds(PathPart, TEXT.map(lambda tail: f"/work/my project/out/{tail}"))
    | st.builds(PathPart, TEXT.map(lambda tail: f"/work/my project/{tail}"))
    | st.builds(PathPart, TEXT.map(lambda tail: f"/{tail}"))
    | st.sampled_from([PathPart(HERE.prefix), PathPart(HERE.project), PathPart(HERE.prefix + "2")])
)


@settings(max_examples=25)
@given(st.lists(st.lists(PARTS, max_size=3).map(tuple), min_size=1, max_size=15))
@example([(text,) for text in NASTY])
@example([(PathPart(f"/work/my project/out/{text}"), text) for text in NASTY])
def test_a_script_that_stands_where_it_was_made_gets_the_words_of_the_command(
    words: list[tuple[str | PathPart, ...]],
) -> None:
    script = f"prefix={quoting.sh(HERE.prefix)} project={quoting.sh(HERE.project)}\n"
    script += f"printf '%s\\0' {FILTERED(words)}\n"
    assert _bash(script) == [join_word(word).encode() for word in words]


@given(st.lists(st.lists(PARTS, max_size=3).map(tuple), min_size=1, max_size=5))
@settings(max_examples=25)
@example([(PathPart(HERE.prefix + "2"),), (PathPart(HERE.project + "-b/c"),), (PathPart("/"),)])
@example([(PathPart(HERE.prefix),), (PathPart(HERE.project),), (PathPart(HERE.project + "/"),)])
def test_a_script_that_was_moved_finds_the_moved_outputs(
    words: list[tuple[str | PathPart, ...]],
) -> None:
    def moved(part: str | PathPart) -> str:
        if isinstance(part, str):
            return part
        for root, new in ((HERE.prefix, "/new prefix"), (HERE.project, "/new project")):
            if part.path == root or part.path.startswith(root + "/"):
                return new + part.path[len(root) :]
        return part.path

    script = f"prefix='/new prefix' project='/new project'\nprintf '%s\\0' {FILTERED(words)}\n"
    assert _bash(script) == ["".join(map(moved, word)).encode() for word in words]


def test_scripts_stay_readable() -> None:
    words = [
        ("cp",),
        (PathPart("/work/my project/out/raw_1"), "/a.txt"),
        (PathPart("/etc/x y"),),
        (),
    ]
    assert FILTERED(words) == "cp \"$prefix\"/raw_1/a.txt '/etc/x y' ''"


@given(st.text(st.characters()) | st.integers() | st.none())
@example("a\u2028b\x85c\x0bd\re\nf")
def test_a_comment_is_one_line(value: object) -> None:
    shown = quoting.comment(value)
    assert shown.splitlines() in ([shown], [])
    assert shown.isprintable()
    shown.encode()  # lone surrogates could not be written


@given(TEXT)
def test_a_comment_stays_a_comment_for_bash_and_yaml(value: str) -> None:
    assert pyyaml.safe_load(f"# {quoting.comment(value)}\na: 1\n") == {"a": 1}


def test_bash_runs_nothing_of_a_comment() -> None:
    script = "".join(f"# {quoting.comment(value + chr(10) + 'exit 3')}\n" for value in NASTY)
    assert _bash(script + "printf 'end\\0'") == [b"end"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(JSON)
def test_yaml_gives_back_every_value_with_its_type(value: object) -> None:
    _check_yaml(value)


@pytest.mark.parametrize(
    "value",
    [
        "yes", "no", "on", "null", "~", "1", "1.0", "1e3", "0o7", "2026-11-21", "a: b", "- a", "#x",
        "{a}", "*a", "&a", "!t", "%d", "@x", "`x", "| ", "> ", "é", "🦊", "\x7f", "\x85", "\u2028",
        "\ufeff", "\t", "a\nb", " a ", "", 1e16, 1e-7, 10**30, True, None, {"on": "off"}, {"": []},
    ],
    ids=repr,
)  # fmt: skip
def test_yaml_gives_back_the_values_that_are_known_for_trouble(value: object) -> None:
    _check_yaml(value)


def _check_yaml(value: object) -> None:
    """Read it from every kind of place our templates write values to."""
    written = quoting.yaml(value)
    for found in (
        pyyaml.safe_load(written),
        pyyaml.safe_load(f"a: {written}\nb: 1\n")["a"],
        pyyaml.safe_load(f"a:\n  - {written}\n")["a"][0],
        pyyaml.safe_load(f"a: {{name: {written}, optional: false}}")["a"]["name"],
    ):
        assert (found, type(found)) == (value, type(value))


_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


@given(st.text(st.characters()) | st.text("<>&'\"]", max_size=6))
def test_xml_gives_back_text_and_attributes(value: str) -> None:
    wanted = _NO_XML.sub("\ufffd", value)
    text = ET.fromstring(f"<a>{quoting.xml(value)}</a>").text or ""
    assert text == re.sub("\r\n?", "\n", wanted)
    for quote in "'\"":
        found = ET.fromstring(f"<a b={quote}{quoting.xml(value)}{quote}/>").attrib["b"]
        assert re.sub(r"\s", " ", found) == re.sub(r"\s", " ", wanted.replace("\r\n", "\n"))


@pytest.mark.parametrize("value", [3, 0.5, None, True])
def test_filters_of_any_value_take_any_value(value: object) -> None:
    assert quoting.comment(value) == quoting.xml(value) == str(value)
    assert json.loads(quoting.yaml(value)) == value


def test_words_for_kubernetes_are_relative_to_the_working_folder() -> None:
    words = [("cat",), (PathPart("/work/my project/a"), "-x"), (PathPart("gs://b/a"),), ()]
    assert quoting.plain_words(words, HERE) == ["cat", "a-x", "gs://b/a", ""]


@given(
    st.recursive(
        st.text() | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
@example({"</script>": ["<!--", "]]>", "&amp;", "\u2028\u2029\x85\ud800"]})
def test_json_in_a_page_is_read_back_and_ends_nothing(value: object) -> None:
    text = quoting.inline_json(value)
    assert not set(text) & set("<>&\u2028\u2029")
    text.encode()
    assert json.loads(text) == value


def test_what_is_no_json_is_refused() -> None:
    for value in ({1, 2}, float("nan")):
        with pytest.raises((TypeError, ValueError)):
            quoting.inline_json(value)


def test_a_script_or_style_that_would_end_its_block_is_refused() -> None:
    for text in ("a = '</script>'", "'</SCRIPT'", "x <!-- y"):
        with pytest.raises(ValueError, match="a script in a page"):
            quoting.inline_script(text)
    with pytest.raises(ValueError, match="a style sheet in a page"):
        quoting.inline_style("a::after { content: '</style>' }")
    assert quoting.inline_script("if (a < b) c()") == "if (a < b) c()"


def _said_by(words: list[str], folder: Path) -> bytes:
    """Return what make or ninja prints, which knows nothing of a make that runs these tests."""
    path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    return subprocess.run(words, cwd=folder, env=path, capture_output=True, check=True).stdout


@settings(max_examples=25)
@given(st.lists(TEXT, min_size=1, max_size=20))
@example(NASTY)
@example(["$$", "$(touch pwned)", "${x}", "a%b", "a:b;c", "a\\", "\\", "|", "$:", "\ttab", "--"])
def test_make_and_ninja_print_every_line(
    tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    """Else a `$` in a command line that they are to show is a variable of theirs."""
    folder = tmp_path_factory.mktemp("rules")
    words = quoting.make_sh(values)
    (folder / "Makefile").write_text(f"all:\n\t@printf '%s\\0' {words}\n")
    (folder / "build.ninja").write_text(
        f"rule say\n  command = printf '%s\\0' {words} > out\nbuild out: say\n"
    )
    expected = [printable(value) for value in values]
    made = _said_by(["make"], folder)
    _said_by(["ninja"], folder)
    for got in (made, (folder / "out").read_bytes()):
        assert got.decode().split("\0")[:-1] == expected


@settings(max_examples=15)
@given(st.from_regex(r"(?!\.)[A-Za-z0-9._+@/-]{4,20}", fullmatch=True))
@example("-n")
@example("a/b@1.2+x")
@example("+")
@example("@")
def test_a_name_of_a_rule_is_its_name(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """Else a target of make or ninja is another one than the plan says."""
    folder = tmp_path_factory.mktemp("rules")
    rule = quoting.rule_name(name)
    (folder / "Makefile").write_text(f".PHONY: {rule}\n{rule}:\n\t@echo 'made $@'\n")
    (folder / "build.ninja").write_text(
        f"rule say\n  command = echo 'made $target' > out\nbuild {rule}: phony s1\n"
        f"build s1: say\n  target = {rule}\n"
    )
    made = _said_by(["make", "--", name], folder)
    _said_by(["ninja", "--", name], folder)
    assert made.decode() == (folder / "out").read_text() == f"made {name}\n"


@pytest.mark.parametrize(
    "name", ["", ".PHONY", "a b", "a$b", "a:b", "a%", "a#b", "a\nb", "é", "a|b"]
)
def test_what_cannot_name_a_rule_is_refused(name: str) -> None:
    """Else it names another one, or runs."""
    with pytest.raises(ValueError, match="cannot name a rule"):
        quoting.rule_name(name)
