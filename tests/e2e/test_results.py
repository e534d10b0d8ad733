"""After the build: where the results are, whatever the pipeline says today."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.servers.gcs import GcsServer

from .support import DIAMOND, OUTPUTS, Done
from .terminal import on_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .support import Project

BUCKET = "outputs"
PREFIX = f"gs://{BUCKET}/run"
BROKEN = "def f(:\n"
IN_A_BUCKET = """\
import fsspec

from marin_build import step


@step(name="say/n")
def say(output: str, n: int = 1) -> dict[str, int]:
    with fsspec.open(f"{output}/n.txt", "w") as stream:
        stream.write(f"the number {n}\\n")
    return {"n": n}


def pipeline(n: int = 1):
    return [say(n=n)]
"""


@pytest.fixture
def diamond(project: Project) -> Project:
    """A project in which everything is built."""
    project.pipeline(DIAMOND)
    assert project.run("apply").code == 0
    return project


@pytest.fixture
def server() -> Iterator[GcsServer]:
    """A bucket of its own."""
    with GcsServer(BUCKET) as made:
        yield made


def _run_of(project: Project, name: str) -> str:
    record = json.loads((project.output_of(name) / ".executor_info").read_text())
    return str(record["run"])


def test_path_prints_where_outputs_are(diamond: Project) -> None:
    """Else a script must parse a plan to read a result."""
    report, corpus = diamond.output_of("report"), diamond.output_of("corpus")
    assert diamond.run("path", "report") == Done(0, f"{report}\n", "")
    assert diamond.run("path").out == f"{report}\n"
    assert diamond.run("path", "corpus,tag:final").out == f"{corpus}\n{report}\n"
    other = diamond.run("path", "report", "--set", "lines=9")
    assert (other.code, other.out.startswith(f"{diamond.root}/{OUTPUTS}/report_")) == (1, True)
    assert other.err.endswith("is not built\n")


def test_path_finds_any_identity_without_the_pipeline(diamond: Project) -> None:
    """Else the results of last week are lost with the pipeline that declared them."""
    old, run = diamond.output_of("report"), _run_of(diamond, "report")
    assert diamond.run("apply", "--set", "right=5").code == 0
    new = next(p for p in (diamond.root / OUTPUTS).glob("report_*") if p != old)
    corpus = diamond.output_of("corpus")
    second = json.loads((new / ".executor_info").read_text())["run"]
    diamond.pipeline(BROKEN)
    for word, path in {
        "report@latest": new,
        f"report@{run}": old,
        f"report@{run[:6]}": old,
        old.name: old,
        f"corpus@{second}": corpus,  # which that run reused
    }.items():
        assert diamond.run("path", word) == Done(0, f"{path}\n", ""), word
    named = diamond.run("path", "report")
    assert (named.code, named.out) == (0, f"{new}\n")
    assert "SyntaxError" in named.err
    assert f"{new.name} is the newest of its name" in named.err


def test_path_says_what_there_is_if_it_finds_nothing(diamond: Project) -> None:
    """Else a user cannot tell a wrong word from a lost output."""
    none = diamond.run("path", "report@r-00000000")
    assert (none.code, none.out) == (4, "")
    assert f"builds of `report`: {diamond.output_of('report').name}, " in none.err
    diamond.pipeline(BROKEN)
    assert "SyntaxError" in diamond.run("path", "nothing").err
    diamond.pipeline("targets = []\n")
    gone = diamond.run("path", "corpus")
    assert (gone.code, gone.out) == (0, f"{diamond.output_of('corpus')}\n"), gone.err


def test_paths_in_a_bucket_are_urls(project: Project, server: GcsServer) -> None:
    """Else results in a bucket have to be searched for by hand."""
    project.build_in_bucket(server.url, PREFIX)
    project.pipeline(IN_A_BUCKET)
    assert project.run("apply").code == 0
    url = project.run("path", "say/n").out.strip()
    assert url.startswith(f"{PREFIX}/say/n_")
    project.pipeline(BROKEN)
    for word in ("say/n@latest", url.removeprefix(f"{PREFIX}/")):
        assert project.run("path", word) == Done(0, f"{url}\n", "")


def test_apply_ends_by_saying_where_the_requested_outputs_are(diamond: Project) -> None:
    """Else a user who has just built a report has to look for it."""
    report = diamond.output_of("report")
    where = f"  report: {OUTPUTS}/{report.name}\n"
    assert diamond.run("apply").out.endswith(where)
    assert diamond.run("apply", "--force", "report").out.endswith(where)
    assert report.name not in diamond.run("apply", "-q").out
    for more in ((), ("--force", "report")):
        finished = diamond.run("apply", "--json", *more).events[-1]
        assert finished["outputs"] == [
            {"name": "report", "target": report.name, "path": str(report)}
        ]
        assert finished["more_outputs"] == 0


def test_show_tells_what_an_output_is_and_how_it_was_made(diamond: Project) -> None:
    """Else a number in a report cannot be traced to what made it."""
    left, corpus = diamond.output_of("left"), diamond.output_of("corpus")
    diamond.pipeline(BROKEN)
    done = diamond.run("show", "left@latest")
    assert (done.code, done.err) == (0, "")
    assert diamond.mask(done.out) == (
        "left_HASH\n"
        f"  output     PROJECT/{OUTPUTS}/left_HASH\n"
        "  built      DATE in TIME by USER@HOST, run r-RUN\n"
        "  made by    pipeline.count\n"
        '  attributes side="left"\n'
        "             times=1\n"
        f"  from       corpus_HASH  PROJECT/{OUTPUTS}/corpus_HASH\n"
        "  returned   3\n"
        "  files      1, 2 B\n"
        "    2 B  count.txt\n"
        "\ncount.txt\n"
        "  | 3\n"
    )
    document = diamond.run("show", "left@latest", "--json").document
    assert (document["output_path"], document["artifact"]) == (str(left), 3)
    assert document["files"] == [{"path": "count.txt", "size": 2}]
    assert document["made_by"]["deps"] == [corpus.name]
    assert document["previews"][0]["lines"] == ["3"]


def test_show_is_harmless_whatever_lies_in_an_output(diamond: Project) -> None:
    """Else a file name or a record can write on the terminal of whoever looks."""
    report = diamond.output_of("report")
    (report / "\x1b[2J\n.txt").write_text("\x1b]0;title\x07\n")
    (report / "plot.png").write_bytes(b"\x89PNG")
    for name in (".executor_info", ".artifact.json"):
        (report / name).write_text('{"executor_version": "marin_build/1\x1b"')
    done = diamond.run("show", report.name)
    assert done.code == 0, done.err
    assert "\x1b" not in done.out + done.err
    assert "\\x1b[2J\\n.txt" in done.out
    assert f"picture {report}/plot.png\n" in done.out
    assert "state      built, by a program that left no record of ours" in done.out
    assert "\x1b" not in diamond.run("show", report.name, "--json").out


def test_show_reads_outputs_in_a_bucket(project: Project, server: GcsServer) -> None:
    """Else results in a bucket have to be copied to be seen."""
    project.build_in_bucket(server.url, PREFIX)
    project.pipeline(IN_A_BUCKET)
    assert project.run("apply").code == 0
    project.pipeline(BROKEN)
    shown = project.run("show", "say/n@latest").out
    assert f"output     {PREFIX}/say/n_" in shown
    assert 'returned   {"n": 1}\n' in shown
    assert "  | the number 1\n" in shown


def test_open_hands_an_output_to_the_users_program(diamond: Project) -> None:
    """Else a user copies the path of each plot into another program."""
    report = diamond.output_of("report")
    (report / "plot.png").write_bytes(b"\x89PNG")
    script = diamond.write("viewer", '#!/bin/sh\necho "$@" >> opened.txt\n')
    script.chmod(0o755)
    diamond.environment["BROWSER"] = f"{script} --page %s"
    for words in (("report",), ("report", "plot.png"), ("corpus@latest",)):
        with on_terminal(diamond, "open", *words) as terminal:
            assert terminal.wait() == 0, terminal.text
    (opened, named, lone) = diamond.file("opened.txt").splitlines()
    assert opened == f"--page {report}"
    assert named == f"--page {report}/plot.png"
    assert lone == f"--page {diamond.output_of('corpus')}/text.txt"


def test_open_says_what_it_does_not_do(diamond: Project) -> None:
    """Else a script, or a machine without a screen, waits for a window."""
    report = diamond.output_of("report") / "report.txt"
    away = diamond.run("open", "report", env={"BROWSER": "true"})
    assert away == Done(
        0, f"{report}\n", "note: nothing was opened: standard output is no terminal\n"
    )
    none = diamond.run("open", "report", env={"DISPLAY": "", "BROWSER": ""})
    assert (none.code, "no program is known" in none.err) == (0, True)
    for words in (("report", "../../x"), ("report", "reprot.txt"), ("report", "--set", "lines=9")):
        refused = diamond.run("open", *words)
        assert (refused.code, refused.out) == (4, "")
        assert "nothing was opened" in refused.err


def test_a_stable_name_leads_to_the_newest_build(diamond: Project) -> None:
    """Else a notebook has another path after each change of a parameter."""
    latest = diamond.root / OUTPUTS / ".marin-build/latest"
    assert (latest / "report/report.txt").read_text() == "3 6 of 3\n"
    assert diamond.run("apply", "--set", "right=5").code == 0
    assert (latest / "report/report.txt").read_text() == "3 15 of 3\n"
    assert sorted(path.name for path in latest.iterdir()) == ["corpus", "left", "report", "right"]


def test_planning_never_reads_stable_names(diamond: Project) -> None:
    """Else a link that a person changed decides what is built."""
    latest = diamond.root / OUTPUTS / ".marin-build/latest"
    before = diamond.run("plan", "-v").out
    for name in ("corpus", "left"):
        (latest / name).unlink()
    (latest / "left").symlink_to("left")
    (latest / "report").unlink()
    (latest / "report").write_text("a person's")
    assert diamond.run("plan", "-v").out == before
    again = diamond.run("apply", "--force", "+report")
    assert (again.code, again.err) == (0, "")
    assert (latest / "report").read_text() == "a person's"
    assert (latest / "left/count.txt").read_text() == "3\n"


def test_in_a_bucket_an_object_names_the_newest_build(project: Project, server: GcsServer) -> None:
    """Else people list a bucket to find what was built last."""
    project.build_in_bucket(server.url, PREFIX)
    project.pipeline(IN_A_BUCKET)
    for n in ("1", "2"):
        assert project.run("apply", "--set", f"n={n}").code == 0
        objects = server.api.buckets.objects(BUCKET)
        pointer = objects["run/.marin-build/latest/say~n"].data.decode()
        assert pointer == project.run("path", "--set", f"n={n}").out
