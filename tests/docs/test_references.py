"""Reference pages name everything there is: a field that is added gets its line."""

from __future__ import annotations

import ast
import inspect
import json
import re
from dataclasses import fields
from typing import TYPE_CHECKING, get_args

import pytest

import marin_build
from marin_build import errors
from marin_build.apply.events import CriticalPath, Timed
from marin_build.emit.plan_directory import Action
from marin_build.engines.kubernetes.retries import JobRetries
from marin_build.engines.kubernetes.settings import KubernetesSettings
from marin_build.engines.settings import setting_names
from marin_build.operations.loading.config import Settings
from marin_build.pipeline.resources import ResourceConfig
from marin_build.pipeline.retries import CAUSES, Retries, exit_meaning
from marin_build.pipeline.step_options import StepOptions
from marin_build.plan.reason_text import reason_kind
from marin_build.plan.reasons import Reason
from marin_build.protocol import layout

from .pages import CHECKOUT, File, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTENTS: list[tuple[str, Iterable[str]]] = [
    ("reference/configuration.md", setting_names(Settings)),
    ("reference/configuration.md", [field.name for field in fields(KubernetesSettings)]),
    *(
        ("reference/events.md", [field.name for field in fields(kind)])
        for kind in (CriticalPath, Timed)
    ),
    ("reference/templates.md", [field.name for field in fields(Action)]),
    ("reference/python-api.md", StepOptions.__annotations__),
    ("reference/python-api.md", [field.name for field in fields(ResourceConfig)]),
    ("reference/python-api.md", [field.name for field in fields(Retries)]),
    ("reference/python-api.md", CAUSES),
    ("reference/python-api.md", marin_build.__all__),
    ("reference/templates.md", [field.name for field in fields(JobRetries)]),
    ("concepts/plan.md", [reason_kind(kind.__new__(kind)) for kind in get_args(Reason)]),
]


def _page(name: str) -> str:
    return (CHECKOUT / "docs" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("page", "names"), CONTENTS)
def test_every_name_has_its_place(page: str, names: Iterable[str]) -> None:
    text = _page(page)
    assert [name for name in names if f"`{name}`" not in text] == []


@pytest.mark.parametrize("kind", [marin_build.Project, marin_build.ProjectPlan])
def test_every_member_has_its_row(kind: type) -> None:
    text = _page("reference/python-api.md")
    names = [name for name in dir(kind) if not name.startswith("_")]
    assert [name for name in names if not re.search(rf"`(?:Project\.)?{name}[`(]", text)] == []


def _signatures(text: str, name: str) -> list[list[str]]:
    """Return the arguments of each call of `name` that is written like a definition."""
    found = []
    for arguments in re.findall(rf"`(?:Project\.)?{name}(\([^`\n]*\))`", text):
        try:
            (head,) = ast.parse(f"def f{arguments}: ...").body
        except SyntaxError:  # `f(g(x))`, or `f(x, ...)`, which leaves some out
            continue
        assert isinstance(head, ast.FunctionDef)
        found.append([argument.arg for argument in (*head.args.args, *head.args.kwonlyargs)])
    return found


@pytest.mark.parametrize("owner", [marin_build, marin_build.Project, marin_build.StatusFile])
def test_a_function_has_the_arguments_that_the_page_shows(owner: object) -> None:
    """Else people write arguments that are refused, or never learn of a new one."""
    text = _page("reference/python-api.md")
    members = {name: getattr(owner, name) for name in dir(owner) if not name.startswith("_")}
    functions = {name: found for name, found in members.items() if inspect.isroutine(found)}
    wrong = []
    for name, function in functions.items():
        kinds = inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL
        parameters = inspect.signature(function).parameters.values()
        real = [one.name for one in parameters if one.kind not in kinds and one.name != "self"]
        shown = _signatures(text, name)
        if real and shown and real not in shown:  # `grid` takes any names
            wrong.append((name, real, shown))
    assert wrong == []


def test_every_file_beside_an_output_has_its_place() -> None:
    text = _page("reference/files-beside-an-output.md")
    ours = [layout.STATUS, layout.LEASE, layout.RECORD, layout.ARTIFACT]
    assert [name for name in ours if f"`{name}`" not in text] == []


def test_every_template_has_a_heading_and_every_heading_a_template() -> None:
    folder = CHECKOUT / "templates"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.j2")}
    assert (
        set(re.findall(r"^## (\S+\.j2)$", _page("reference/templates.md"), re.MULTILINE)) == there
    )


def test_the_engine_that_is_shown_is_the_one_that_is_tested() -> None:
    """Else people copy a package that does not work."""
    plugin = CHECKOUT / "tests/data/engine_plugin"
    shown = {
        part.path: part.text
        for part in parts_of(CHECKOUT / "docs/how-to/add-an-engine.md")
        if isinstance(part, File)
    }
    assert shown == {
        path.relative_to(plugin).as_posix(): path.read_text("utf-8")
        for path in plugin.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_every_exit_code_has_a_row() -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    ours, _, of_steps = _page("reference/exit-codes.md").partition("## Of steps")
    rows = re.findall(r"^\| (\d+) \|", ours, re.MULTILINE)
    assert {int(row) for row in rows} == codes
    told = {int(row) for row in re.findall(r"^\| (\d+) \|", of_steps, re.MULTILINE)}
    assert told >= {code for code in range(256) if exit_meaning(code) and code < 128} | {137, 139}


def test_every_tag_of_a_canonical_form_is_shown() -> None:
    cases = json.loads((CHECKOUT / "tests/data/canonical_cases.json").read_text("utf-8"))["cases"]
    tags = {tag for case in cases for tag in re.findall(r"__[a-z]+__", case["canonical"])}
    assert {tag for tag in tags if tag not in _page("concepts/identity.md")} == set()
