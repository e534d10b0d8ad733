"""The stored source, and what comparing two of them says."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import command
from marin_build.errors import StoreError
from marin_build.identity.code.digest import code_of
from marin_build.identity.code.document import CodeDocument, code_document
from marin_build.plan.drift import Drift
from marin_build.plan.find_drift import drift_of, environment_drift
from marin_build.protocol.provenance import Environment
from marin_build.run_step import record
from marin_build.store.memory import MemoryStore

if TYPE_CHECKING:
    from marin_build.identity.code.digest import Code
    from tests.unit.identity.code.conftest import NewProject

FLOW = (
    "import pydantic\nN = 1\ndef run(o):\n    return pydantic.BaseModel, N, gone(o)\ngone = len\n"
)


def test_the_document_holds_normalised_source(project: NewProject) -> None:
    document = project(flow=FLOW.replace("def run", "# now\ndef run")).document()
    assert {name: (part.source, part.via) for name, part in document.parts.items()} == {
        "flow.run": ("def run(o):\n    return (pydantic.BaseModel, N, gone(o))", ("run",)),
        "flow.N": ("N = 1", ("run", "N")),
        "flow.gone": ("gone = len", ("run", "gone")),
    }
    assert project().code().modules == ("pydantic",)
    assert CodeDocument.from_bytes(document.to_bytes()) == document
    assert len(document.key) == 64


def test_a_document_of_another_schema_is_refused(project: NewProject) -> None:
    data = project(flow=FLOW).document().to_bytes()
    with pytest.raises(ValueError, match="schema_version"):
        CodeDocument.from_bytes(data.replace(b'"schema_version": 1', b'"schema_version": 2'))


def test_parts_that_come_and_go_are_told(project: NewProject) -> None:
    edited = FLOW.replace("gone", "come").replace("= len", "= max\ncome = (come,)[0]")
    drift = project(flow=FLOW).drift(flow=edited)
    assert drift.differences == (
        "flow.run() +1 -1",
        "flow.come added +2 (via run -> come)",
        "flow.gone removed -1 (via run -> gone)",
    )
    assert drift.parts[0].diff[1:] == (
        " def run(o):",
        "-    return (pydantic.BaseModel, N, gone(o))",
        "+    return (pydantic.BaseModel, N, come(o))",
    )


def test_another_environment_is_told_and_is_not_code() -> None:
    """Else an upgrade that changes results goes unseen, or rebuilds everything."""
    old = Environment("3.11.1", {"numpy": "1.26", "torch": "2.4"}, {"uv.lock": "sha256:1"}, "a@1")
    new = Environment("3.12.4", {"numpy": "2.0", "torch": ""}, {"pdm.lock": "sha256:2"}, "a@2")
    drift = Drift(environment=environment_drift(old, new))
    assert (drift.is_of_code, bool(drift)) == (False, True)
    assert drift.differences == (
        "Python 3.11.1 -> 3.12.4",
        "numpy 1.26 -> 2.0",
        "torch 2.4 -> none",
        "pdm.lock added",
        "uv.lock removed",
        "image a@1 -> a@2",
    )
    assert drift.text == (
        "environment changed since built: Python 3.11.1 -> 3.12.4, numpy 1.26 -> 2.0, "
        "torch 2.4 -> none and 3 more"
    )
    assert drift.facts[1] == {"kind": "distribution", "name": "numpy", "old": "1.26", "new": "2.0"}
    assert not Drift(environment=environment_drift(old, old))


def test_what_is_not_known_of_both_is_not_compared() -> None:
    """Else a plan on a laptop reports its own Python for everything that pods built."""
    old = Environment("3.11.1", {"numpy": "1.26"}, {}, "a@1")
    assert environment_drift(old, Environment()) == ()
    assert environment_drift(Environment(), old) == ()
    assert [d.text for d in environment_drift(old, Environment(image="b"))] == ["image a@1 -> b"]


def test_what_a_store_says_moves_no_cursor() -> None:
    """Else whoever may write to the store writes on the terminal of others."""
    old, new = Environment(image="a\x1b[2J\n"), Environment(image="b")
    (drift,) = environment_drift(old, new)
    assert drift.text.isprintable()


def test_lambdas_of_one_place_have_parts_of_their_own(project: NewProject) -> None:
    flow = "def make(f, g):\n    def run(o): return f(o), g(o)\n    return run\n"
    flow += "run = make(lambda o: 1, lambda o: 2)\n"
    document = project(flow=flow).document()
    assert set(document.parts) == {
        "flow.make.<locals>.run", "flow.<lambda>", "flow.<lambda>#2",
    }  # fmt: skip


def test_a_record_and_its_source_say_what_drifted(project: NewProject) -> None:
    made = project(flow=FLOW)
    code = made.code()
    old = code_document(code)
    record: Any = SimpleNamespace(code_digest=code.digest, captured=code.captured)
    assert not drift_of(record, old, made.load().run)
    made.write(flow=FLOW.replace("N = 1", "N = 2"))
    run = made.load().run
    text = "code changed since built: flow.N +1 -1 (via run -> N)"
    assert drift_of(record, old, run).text == text
    assert drift_of(record, None, run).text == (
        "code changed since built, and its source was not kept"
    )
    assert not drift_of(SimpleNamespace(code_digest=None, captured=None), old, run)
    assert not drift_of(record, old, None)


def test_code_that_moves_to_another_module_has_not_drifted(project: NewProject) -> None:
    made = project(flow=FLOW)
    code = made.code()
    record: Any = SimpleNamespace(code_digest=code.digest, captured=code.captured)
    made.write(other=FLOW)
    assert not drift_of(record, code_document(code), made.load("other").run)


class Counting(MemoryStore):
    """Counts writes, and refuses the first ones."""

    def __init__(self, refusals: int = 0) -> None:
        super().__init__()
        self.paths: list[str] = []
        self.refusals = refusals

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        self.paths.append(path)
        if len(self.paths) <= self.refusals:
            raise StoreError("cannot write")
        return super().put_if_absent(path, data)


def _keep(store: MemoryStore, run: str, code: Code) -> str | None:
    return record.keep_source(store, "gs://b/out", run, code)


def test_the_source_of_1000_steps_is_written_once(project: NewProject) -> None:
    flow = "def make(n):\n    def run(o): return n\n    return run\n"
    make = project(flow=flow).load().make
    store = Counting()
    codes = [code_of(make(n)) for n in range(1000)]
    keys = {_keep(store, "r-once", code) for code in codes}
    assert len({code.digest for code in codes}) == 1000
    (key,) = keys
    assert store.paths == [f"gs://b/out/.marin-build/code/{key}.json"]
    blob = store.get(store.paths[0])
    assert blob is not None
    assert CodeDocument.from_bytes(blob.data) == code_document(codes[0])


def test_source_that_cannot_be_written_is_tried_again_and_fails_nothing(
    project: NewProject,
) -> None:
    code, store = project(flow=FLOW).code(), Counting(refusals=1)
    kept = [_keep(store, "r-again", code) for _ in range(3)]
    assert kept == [code_document(code).key] * 3
    assert len(store.paths) == 2


def test_a_command_has_no_source(project: NewProject) -> None:
    project()
    code = code_of(command("sort a", name="a").fn)
    assert _keep(Counting(), "r-none", code) is None
    assert replace(code, digest="") != code
