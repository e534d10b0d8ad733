"""Templates: every value is quoted, every missing one is an error, and the user's own win."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import pytest
from jinja2 import nodes

from marin_build.emit.templates import Templates, templates_folder
from marin_build.engines.registry import OURS, Registered, load_engine
from marin_build.errors import MarinBuildError, SpecificationError, UsageError
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(templates_folder())
TEMPLATES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.j2"))
ENGINES = [load_engine(Registered(name, place, "")) for name, place in OURS.items()]
PLUGIN = Path(__file__).parents[2] / "data" / "engine_plugin"
QUOTING = {
    "sh", "comment", "yaml", "xml", "words", "rule_name", "rule_names", "make_sh",
    "inline_json", "inline_page", "inline_script", "inline_style",
    *(name for kind in ENGINES for name in kind.filters),
}  # fmt: skip
SHAPING = {"indent", "trim"}


def _is_macro_call(node: nodes.Expr | None, macros: set[str]) -> bool:
    """Whether it is a macro of ours, whose own values are checked where it is defined."""
    while isinstance(node, nodes.Filter) and node.name in SHAPING:
        node = node.node
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and (
        node.node.name in macros
    )  # fmt: skip


def unquoted(text: str) -> Iterator[str]:
    """Yield the lines of a template at which a value is written without a quoting filter."""
    tree = jinja2.Environment().parse(text)
    macros = {macro.name for macro in tree.find_all(nodes.Macro)}
    macros |= {
        name if isinstance(name, str) else name[1]
        for imported in tree.find_all(nodes.FromImport) for name in imported.names
    }  # fmt: skip
    for output in tree.find_all(nodes.Output):
        for child in output.nodes:
            if isinstance(child, nodes.TemplateData):
                continue
            quoted = isinstance(child, nodes.Filter) and child.name in QUOTING
            if not quoted and not _is_macro_call(child, macros):
                yield f"line {child.lineno}: {child}"


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_value_in_our_templates_is_quoted(name: str) -> None:
    assert list(unquoted((FOLDER / name).read_text())) == []


def test_every_value_in_the_templates_of_the_example_plugin_is_quoted() -> None:
    """Else people copy from the documentation how a value runs as code."""
    found = list(PLUGIN.rglob("*.j2"))
    assert found
    assert [line for path in found for line in unquoted(path.read_text())] == []


def test_there_are_templates_to_check() -> None:
    assert {"base.sh.j2", "local/run.sh.j2", "kubernetes/job.yaml.j2"} <= set(TEMPLATES)


@pytest.mark.parametrize(
    "text",
    [
        "{{ x }}",
        "a {{ x | upper }} b",
        "{{ x | sh | upper }}",
        "{{ x | indent(2) }}",
        "{{ f(x) }}",
        "{{ x.f() | trim }}",
        "{% for x in y %}{{ x | sh }} {{ x }}{% endfor %}",
        "{% if y %}{{ x ~ z }}{% endif %}",
        "{% block b %}{{ x }}{% endblock %}",
        "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(1) }}",
        "{% set z %}{{ x }}{% endset %}{{ z | sh }}",
        "{{ x if y else z | sh }}",
    ],
)
def test_the_check_above_finds_what_is_not_quoted(text: str) -> None:
    assert len(list(unquoted(text))) == 1


@pytest.mark.parametrize(
    "text",
    ["{{ x | sh }}", "{{ x | upper | sh }}", "{{ (x ~ z) | yaml }}", "plain",
     "{% macro m(x) %}{{ x | sh }}{% endmacro %}{{ m(1) | indent(2) | trim }}",
     "{% from 'a' import m, n as o %}{{ m(1) }}{{ o() | trim }}"],
)  # fmt: skip
def test_the_check_above_lets_pass_what_is_quoted(text: str) -> None:
    assert list(unquoted(text)) == []


def _templates(tmp_path: Path, **files: str) -> Templates:
    own = tmp_path / "own"
    own.mkdir()
    for name, text in files.items():
        (own / f"{name}.j2").write_text(text)
    filters = {name: one for kind in ENGINES for name, one in kind.filters.items()}
    return Templates(Workspace(str(tmp_path), "/out"), "own", filters=filters)


@pytest.mark.parametrize("name", sorted(QUOTING))
def test_a_value_that_is_not_given_is_an_error_not_an_empty_word(tmp_path: Path, name: str) -> None:
    """`rm -rf {{ missing }}/` must never be written."""
    with pytest.raises(SpecificationError) as caught:
        _templates(tmp_path, t=f"a\n{{{{ missing | {name} }}}}").render("t.j2")
    assert caught.value.what == "the template `t.j2` uses a value it is not given"
    assert "'missing' is undefined" in dict(caught.value.facts)["reason"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{ x.y | sh }}", "uses a value it is not given"),
        ("{% if missing %}a{% endif %}", "uses a value it is not given"),
        ("{% for a in missing %}{% endfor %}", "uses a value it is not given"),
        ("{{ x | sh", "`t.j2` is malformed"),
        ("{{ x | nope }}", "`t.j2` is malformed"),
        ("{% extends 'nope.j2' %}", "no template `nope.j2`"),
        ("{% extends 'base.sh.j2' %}", "`t.j2`"),  # without the block that must be there
        ("{{ n | sh }}", "`t.j2`"),  # a number where text is quoted
    ],
)
def test_a_template_that_cannot_be_rendered_is_an_error_of_ours(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(MarinBuildError, match=says):
        _templates(tmp_path, t=text).render("t.j2", x="a", n=5)


def test_the_template_at_fault_is_named_even_inside_another(tmp_path: Path) -> None:
    templates = _templates(tmp_path, t="{% include 'part.j2' %}", part="{{ a | }}")
    with pytest.raises(SpecificationError, match=r"`part\.j2` is malformed") as caught:
        templates.render("t.j2")
    assert dict(caught.value.facts)["line"] == "1"


def test_the_users_template_wins_and_may_extend_ours(tmp_path: Path) -> None:
    own = tmp_path / "own" / "local"
    own.mkdir(parents=True)
    (own / "step.sh.j2").write_text(
        "{% extends 'base.sh.j2' %}{% block body %}\nmodule load {{ m | sh }}\n{% endblock %}"
    )
    rendered = Templates(Workspace(str(tmp_path), "/out"), "own").render(
        "local/step.sh.j2", m="a b"
    )
    assert rendered.startswith("#!/usr/bin/env bash\n")
    assert "module load 'a b'\n" in rendered


def test_a_folder_of_templates_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no templates folder `nowhere`"):
        Templates(Workspace(str(tmp_path), "/out"), "nowhere")


def test_files_beside_templates_can_be_replaced_too(tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "graph").mkdir(parents=True)
    (own / "graph" / "page.css").write_text("body { color: red }")
    templates = Templates(Workspace(str(tmp_path), "/out"), "own")
    assert templates.text("graph/page.css") == "body { color: red }"
    assert templates.text("graph/page.js").startswith("// The page")
    with pytest.raises(SpecificationError, match=r"no template `graph/nope\.js`"):
        templates.text("graph/nope.js")
