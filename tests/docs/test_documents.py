"""The pages about documents have the fields that the documents have: no fewer, and no others.

Programs are written by these pages. A field without a row is not found, and a row without a field
is waited for in vain.
"""

from __future__ import annotations

import re
import runpy
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, get_args

import pytest

from marin_build.apply.event_json import DOCUMENTED
from marin_build.apply.events import ApplyFinished
from marin_build.apply.journal import Header
from marin_build.apply.run_folder import RunDocument
from marin_build.plan.document import (
    DecisionDocument,
    ExpansionDocument,
    PlanDocument,
    PrunedDocument,
)
from marin_build.protocol.acceptance import Acceptance, AcceptedDocument
from marin_build.protocol.documents import Attempt, Environment, Provenance, Publication, Record
from marin_build.protocol.gang import RankEnd
from marin_build.protocol.lease import Lease
from marin_build.protocol.status import Status
from marin_build.protocol.taints import Entry, Mark

from .pages import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterable

PLAN, BESIDE, EVENTS = (
    f"reference/{name}.md" for name in ("plan-directory", "files-beside-an-output", "events")
)

# Page, words above a table -> what the first column of that table names.
TABLES: list[tuple[str, str, Iterable[str]]] = [
    (PLAN, "## plan.json\n", PlanDocument.model_fields),
    (PLAN, "An entry of `decisions`:\n", [field.name for field in fields(DecisionDocument)]),
    (BESIDE, "## .executor_status\n", [*get_args(Status), "TOMBSTONE"]),
    (BESIDE, "## .executor_status.lock\n",
     {field.name for field in fields(Lease)} - {"worker", "timestamp"}),
    (BESIDE, "## .executor_info\n", Record.model_fields),
    (BESIDE, "## .accepted.json\n", AcceptedDocument.model_fields),
    (BESIDE, "An entry of `accepted`", Acceptance.model_fields),
    (BESIDE, "## .logs/attempt-NNNN.json\n", Attempt.model_fields),
    (BESIDE, "## .logs/attempt-NNNN/rank-K.json\n", RankEnd.model_fields),
    (EVENTS, "`apply_finished` has:\n", [field.name for field in fields(ApplyFinished)]),
]  # fmt: skip

# Page, words before a list of names, words after it -> the names in it.
LISTS: list[tuple[str, str, str, Iterable[str]]] = [
    (PLAN, "An entry of `pruned` has", "only.", [field.name for field in fields(PrunedDocument)]),
    (PLAN, "whose steps are not in the plan:", "the ids",
     [field.name for field in fields(ExpansionDocument)]),
    (BESIDE, "| `provenance` |", "|\n", Provenance.model_fields),
    (BESIDE, "| `environment` | `python`", "; or null", {*Environment.model_fields} - {"python"}),
    (BESIDE, "| `publish` | after success:", "|\n", Publication.model_fields),
    (BESIDE, "`run.json` has", "as in a record", RunDocument.model_fields),
    (BESIDE, "a `/` of its id written as `~`:", "of which each has", Mark.model_fields),
    (BESIDE, "of which each has", "\n- ", Entry.model_fields),
]  # fmt: skip

NAME = re.compile(r"`([A-Za-z_]+)")


def _page(name: str) -> str:
    return (CHECKOUT / "docs" / name).read_text(encoding="utf-8")


def _rows(page: str, above: str) -> list[list[str]]:
    """Return the cells of the first table after some words."""
    _, found, rest = _page(page).partition(above)
    assert found, f"{page} has no {above!r}"
    table = re.search(r"^\|.*\n\|[-|]+\n((?:\|.*\n)+)", rest, re.MULTILINE)
    assert table is not None
    lines = table[1].replace("\\|", "").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize(("page", "above", "names"), TABLES)
def test_a_table_has_a_row_for_each_field(page: str, above: str, names: Iterable[str]) -> None:
    shown = [name for row in _rows(page, above) for name in NAME.findall(row[0])]
    assert sorted(shown) == sorted(names)


@pytest.mark.parametrize(("page", "before", "after", "names"), LISTS)
def test_a_list_names_each_field(page: str, before: str, after: str, names: Iterable[str]) -> None:
    _, found, rest = re.sub(r"\n(?!- |\|)", " ", _page(page)).partition(before)
    assert found, f"{page} has no {before!r}"
    assert set(NAME.findall(rest.partition(after)[0])) >= set(names)
    assert sorted(NAME.findall(rest.partition(after)[0])) == sorted(names)


VALUES = {"warning", "note", "queued", "running", "slurm", "plan", "apply"}
"""What the cells of fields name beside the fields: values, and commands."""


@pytest.mark.parametrize("event", DOCUMENTED)
def test_an_event_has_its_fields(event: str) -> None:
    (row,) = [
        row
        for above in ("## Of the run\n", "## Of a target\n")
        for row in _rows(EVENTS, above)
        if row[0] == f"`{event}`"
    ]
    known = set(DOCUMENTED[event])
    if row[2] == "below":  # it has a table of its own
        return
    shown = set(NAME.findall(row[2])) - (VALUES - known)
    assert shown == known - {"name", "target"}


def test_every_event_of_the_page_is_one() -> None:
    rows = [*_rows(EVENTS, "## Of the run\n"), *_rows(EVENTS, "## Of a target\n")]
    assert sorted(row[0].strip("`") for row in rows) == sorted(DOCUMENTED)


def test_the_first_line_of_a_journal_is_shown() -> None:
    assert is_dataclass(Header)
    shown = re.findall(r'"(\w+)": ', _page(EVENTS).partition("```json\n")[2].partition("```")[0])
    own = {"event", "schema", "schema_version", "time", "at"}
    assert set(shown) == own | {field.name for field in fields(Header)}


def test_the_facts_of_reasons_are_up_to_date() -> None:
    program = runpy.run_path(str(CHECKOUT / "docs" / "generate_reason_facts.py"))
    page = _page(PLAN)
    assert page == program["with_table"](page), "run: python docs/generate_reason_facts.py"
