"""Statements about outputs: what other tools read of them, and whether they are true."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState

from tests.servers.gcs import GcsServer

from .support import DIAMOND
from .test_results import IN_A_BUCKET

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Project

FROM_FILES = """\
from pathlib import Path

from marin_build import command, source, step


@step
def words(output: Path, text: Path, book: Path) -> int:
    (output / "deep").mkdir()
    (output / "deep/words.txt").write_text(text.read_text() * 2)
    return 1


pipeline = lambda: [
    command("cat {words}/deep/words.txt > {output}/all.txt", name="all",
            deps={"words": words(text=source("a.txt"), book=source("book"))})
]
"""


def _as_published(statement: dict[str, Any]) -> Any:
    """Return the predicate as the published types of in-toto and SLSA read it."""
    read = json_format.ParseDict(statement, statement_pb2.Statement())
    Statement.copy_from_pb(read).validate()
    return json_format.ParseDict(statement["predicate"], provenance_pb2.Provenance())


@pytest.fixture
def built(project: Project) -> Project:
    """A project with sources, and digests of what it builds."""
    (project.root / "a.txt").write_text("a\n")
    (project.root / "book").mkdir()
    (project.root / "book/1.txt").write_text("1\n")
    (project.root / "book/2.txt").write_text("2\n")
    project.pipeline(FROM_FILES)
    (project.root / "marin-build.toml").write_text("digests = true\n")
    assert project.run("apply").code == 0
    return project


def test_the_published_types_read_a_statement(built: Project) -> None:
    """Else no other tool can read it."""
    stated = built.run("provenance", "all")
    assert (stated.code, stated.err) == (0, "")
    predicate = _as_published(json.loads(stated.out))
    assert predicate.run_details.metadata.finished_on.seconds > 0
    dependencies = {each.name: each for each in predicate.build_definition.resolved_dependencies}
    assert dependencies["a.txt"].digest == {
        "sha256": "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7"
    }
    assert list(dependencies["book"].digest) == ["dirHash"]
    (words,) = (name for name in dependencies if name.startswith("words_"))
    assert list(dependencies[words].digest) == ["dirHash"]
    assert predicate.build_definition.external_parameters["command"].startswith("cat {words}")


def test_a_statement_is_true_until_the_output_changes(built: Project, tmp_path: Path) -> None:
    """Else a colleague cannot tell whether the data that they got is what was built."""
    path, place = tmp_path / "deep/s.json", built.output_of("all")
    assert built.run("provenance", "all", "-o", str(path)).out == f"written: {path}\n"
    built.pipeline("def broken(:\n")
    intact = built.run("verify", "--statement", str(path))
    assert (intact.code, intact.out.split()[0]) == (0, "intact")
    before = (place / "all.txt").read_bytes()
    (place / "all.txt").write_bytes(before[::-1])
    changed = built.run("verify", "--statement", str(path), "--json")
    assert changed.code == 1
    assert json.loads(changed.out)["differences"] == ["`all.txt` has other bytes"]
    (place / "all.txt").write_bytes(before)
    (place / "more.txt").write_text("x")
    assert "`more.txt` is new" in built.run("verify", "--statement", str(path)).out
    (place / "more.txt").unlink()
    (place / "all.txt").unlink()
    assert "`all.txt` is missing" in built.run("verify", "--statement", str(path)).out


def test_files_without_digests_are_read_and_that_is_said(project: Project) -> None:
    """Else a statement says more than was recorded, or there is none."""
    project.pipeline(DIAMOND)
    assert project.run("apply").code == 0
    stated = project.run("provenance", "report")
    assert stated.code == 0
    assert stated.err.startswith("note: 1 file was read: no digest was recorded")
    names = [each["name"] for each in json.loads(stated.out)["subject"]]
    assert names == [".", "report.txt"]
    _as_published(json.loads(stated.out))
    (project.output_of("report") / "report.txt").write_text("longer than it was")
    refused = project.run("provenance", "report")
    assert (refused.code, refused.out) == (5, "")
    assert "has other files than were committed" in refused.err


def test_what_is_not_built_is_not_stated(project: Project) -> None:
    """Else a statement is about nothing."""
    project.pipeline(DIAMOND)
    refused = project.run("provenance", "report")
    assert (refused.code, refused.out) == (4, "")
    assert "is not built" in refused.err


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"_type": 1}',
        '{"_type": "https://in-toto.io/Statement/v1"}',
        "[" * 999,
    ],
)
def test_a_file_that_is_no_statement_is_refused(project: Project, text: str) -> None:
    """Else a damaged statement ends in a traceback, or counts as true."""
    path = project.root / "s.json"
    path.write_text(text)
    done = project.run("verify", "--statement", str(path))
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err


def test_names_of_a_statement_lead_nowhere_else(built: Project, tmp_path: Path) -> None:
    """Else a stranger's statement makes us read any file, and compare what it holds."""
    path = tmp_path / "s.json"
    built.run("provenance", "all", "-o", str(path))
    statement = json.loads(path.read_text())
    statement["subject"] = [{"name": "../../../a.txt", "digest": {"sha256": "0" * 64}}]
    path.write_text(json.dumps(statement))
    done = built.run("verify", "--statement", str(path))
    assert (done.code, done.out) == (4, "")
    statement["subject"] = [{"name": "all.txt", "digest": {}}]
    path.write_text(json.dumps(statement))
    assert built.run("verify", "--statement", str(path)).code == 1


@pytest.mark.parametrize("place", ["x\0y", "nothing://h/x", "http://127.0.0.1:1/x", "../../x"])
def test_a_record_leads_to_no_other_store(built: Project, place: str) -> None:
    """Else a stranger's record makes us ask any server, or ends in a traceback."""
    record = built.output_of("all") / ".executor_info"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"dependencies": [place]}))
    stated = built.run("provenance", "all")
    assert (stated.code, "no record says what made words_" in stated.err) == (0, True)
    _as_published(json.loads(stated.out))


def test_a_statement_about_an_output_in_a_bucket(project: Project) -> None:
    """Else it works on one machine alone."""
    project.pipeline(IN_A_BUCKET)
    with GcsServer("b") as server:
        project.build_in_bucket(server.url, "gs://b/run")
        assert project.run("apply").code == 0
        assert project.run("provenance", "say/n@latest", "-o", "s.json").code == 0
        assert project.run("verify", "--statement", "s.json").code == 0


def _as_lineage(line: str) -> RunEvent:
    """Return an event as the types of OpenLineage read it; they refuse wrong ids and moments."""
    event = json.loads(line)
    return RunEvent(
        eventType=RunState(event["eventType"]),
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=Run(**event["run"]),
        job=Job(**event["job"]),
        inputs=[InputDataset(**each) for each in event["inputs"]],
        outputs=[OutputDataset(**each) for each in event["outputs"]],
    )


def test_a_run_as_events_of_openlineage(built: Project) -> None:
    """Else a catalogue cannot show what was made from what."""
    told = built.run("trace", "latest", "--format", "openlineage")
    assert told.code == 0, told.err
    events = [_as_lineage(line) for line in told.out.splitlines()]
    kinds = [(event.job.name, event.eventType.name) for event in events if event.eventType]
    assert kinds == [
        ("pipeline.py", "START"),
        ("words", "START"),
        ("words", "COMPLETE"),
        ("all", "START"),
        ("all", "COMPLETE"),
        ("pipeline.py", "COMPLETE"),
    ]
    words, everything = events[2], events[4]
    assert [each.name for each in everything.inputs or []] == [
        each.name for each in words.outputs or []
    ]
    assert [each.name for each in words.inputs or []] == ["a.txt", "book"]
    (made,) = everything.outputs or []
    assert (made.namespace, made.name) == ("file", str(built.output_of("all")))
    assert told.out == built.run("trace", "latest", "--format", "openlineage").out


def test_a_step_that_fails_fails_in_the_lineage(project: Project) -> None:
    """Else a catalogue shows data as good that nothing built."""
    project.pipeline(
        "from marin_build import step\n\n\n"
        "@step\ndef bad(output):\n    raise ValueError('no')\n\n\n"
        "def pipeline():\n    return [bad()]\n"
    )
    assert project.run("apply").code == 1
    told = project.run("trace", "latest", "--format", "openlineage")
    events = [json.loads(line) for line in told.out.splitlines()]
    assert [event["eventType"] for event in events] == ["START", "START", "FAIL", "FAIL"]
    assert "no" in events[2]["run"]["facets"]["errorMessage"]["message"]
