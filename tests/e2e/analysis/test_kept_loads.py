"""Commands that use what earlier loads gave say and do what those say and do that load.

The pipeline says on standard error when it is loaded. Its files count as old, so that what is read
of them is believed at once.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.e2e.resident import new_resident
from tests.e2e.support import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.resident import Resident
    from tests.e2e.support import Done, Project

LATER = "import time\nnow = time.time_ns\ntime.time_ns = lambda: now() + 10_000_000_000\n"
SAYS = 'import os\nos.write(2, b"LOADED\\n")\n'
PIPELINE = (
    SAYS
    + """\
from helper import FACTOR
from marin_build import ResourceConfig, Retries, command, source, step


@step
def part(output: str, corpus: str, n: int, factor: int) -> dict[str, int]:
    return {"n": n * factor}


@step(tags=["last"], resources=ResourceConfig(cpu=1, ram="1Gi"), retries=Retries(2, on=["oom"]))
def total(output: str, parts: list[dict[str, int]], rates: dict[str, float]) -> dict[str, int]:
    return {"n": sum(each["n"] for each in parts)}


def pipeline(count: int = 3):
    scale = int(os.environ.get("SCALE", "1"))
    parts = [part(source("corpus.txt"), n=n, factor=FACTOR * scale) for n in range(count)]
    listed = command(
        "cat {corpus} > {output}/list.txt",
        name="listed",
        deps={"part": parts[0]},
        inputs={"corpus": source("corpus.txt")},
        version="1",
        env_vars={"LANG": "C"},
    )
    shown = command("cat {file} > {output}/x", name="shown", deps={"file": listed / "list.txt"})
    return [total(parts, {"a": 0.5, "b": 1e-7}), shown]
"""
).replace('deps={"part": parts[0]},\n', "")
ASKED = (
    ["plan"], ["plan", "-v"], ["plan", "--json", "--all"], ["plan", "+total"], ["plan", "tag:last"],
    ["plan", "--force", "part"], ["plan", "--assume-changed", "part"],
    ["plan", "--check-placement"],
    ["plan", "nosuch"], ["explain", "total"], ["explain", "shown", "--json"], ["explain", "nosuch"],
    ["graph"], ["graph", "--format", "json"], ["graph", "--format", "mermaid"], ["ls", "--json"],
    ["du"], ["metrics"], ["path"], ["show", "total"], ["status"], ["verify"], ["list-targets"],
)  # fmt: skip


_USE = re.compile(r"note: `pipeline.py` (is|was) (not )?loaded.*\n")


def _count(done: Done) -> int:
    return done.err.count("LOADED\n")


def _said(done: Done) -> Done:
    """Return what a command said, but for whether it loaded the pipeline."""
    return replace(done, err=_USE.sub("", done.err.replace("LOADED\n", "")))


@pytest.fixture(scope="session")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that lets Python begin with a clock that is ahead of the files' times."""
    folder = tmp_path_factory.mktemp("later")
    (folder / "sitecustomize.py").write_text(LATER)
    return folder


@pytest.fixture(scope="session")
def late_resident(later: Path) -> Resident:
    """Return a resident process whose clock is ahead."""
    return new_resident(PROGRAM, PYTHONPATH=str(later))


@pytest.fixture
def kept_alone(project: Project, later: Path) -> Project:
    """Return a project with a pipeline and files that count as old."""
    project.environment["PYTHONPATH"] = str(later)
    project.write("helper.py", "FACTOR = 2\n")
    project.write("corpus.txt", "a\nb\n")
    project.pipeline(PIPELINE)
    return project


@pytest.fixture
def kept(kept_alone: Project, late_resident: Resident) -> Project:
    """Return such a project whose commands are forks of one process."""
    kept_alone.resident = late_resident
    return kept_alone


def _until_kept(project: Project, *args: str) -> None:
    """Plan until that needs no load."""
    for _ in range(6):  # the first ones make caches, and find them
        if not _count(project.run("plan", *args)):
            return
    raise AssertionError(project.run("doctor").out)


def _index(project: Project) -> Path:
    (found,) = (project.root / ".marin-build" / "analyses").glob("*.json")
    return found


def test_a_pipeline_is_loaded_no_more_than_needed(kept_alone: Project) -> None:
    """Else each look at a plan waits for torch to be imported."""
    kept = kept_alone
    counts = [_count(kept.run("plan")) for _ in range(6)]
    assert counts[:2] == [1, 1], "one load is not believed alone"
    assert counts[-2:] == [0, 0]
    assert _count(kept.run("plan", "--no-analysis-cache")) == 1
    done = kept.run("apply")
    assert (done.code, _count(done)) == (0, 1), "what is run is loaded"
    _until_kept(kept)
    done = kept.run("apply")
    assert (done.code, _count(done)) == (0, 0)
    assert "nothing to do: 6 targets" in done.out


def test_every_answer_is_that_of_a_load(kept: Project) -> None:
    """Else people act on a plan that no load would give."""
    for is_built in (False, True):
        _until_kept(kept)
        loaded = []
        for args in ASKED:
            one = kept.run(*args)
            other = kept.run(args[0], *args[1:], *_fresh(args))
            assert _said(one) == _said(other), args
            if _count(one):
                loaded.append(" ".join(args))
        assert loaded == ["plan --check-placement", "list-targets"], is_built
        if not is_built:
            assert kept.run("apply").code == 0


def _fresh(args: list[str]) -> list[str]:
    return [] if args[0] == "list-targets" else ["--no-analysis-cache"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pipeline.py", PIPELINE.replace("n * factor", "n * factor + 1")),
        ("pipeline.py", PIPELINE.replace("count: int = 3", "count: int = 4")),
        ("helper.py", "FACTOR = 3\n"),
        ("corpus.txt", "another\n"),
        ("marin-build.toml", 'code = "rebuild"\n'),
        ("marin-build.toml", "[params]\ncount = 1\n"),
    ],
    ids=["code", "steps", "module", "input", "policy", "wrong configuration"],
)
def test_a_change_is_seen_by_the_next_command(kept: Project, name: str, text: str) -> None:
    """Else an edit is planned, and built, as if it had not been made."""
    assert kept.run("apply").code == 0
    _until_kept(kept)
    kept.write(name, text)
    for _ in range(3):  # as long as it is not believed, and when it is
        assert _said(kept.run("plan")) == _said(kept.run("plan", "--no-analysis-cache"))


def test_parameters_and_variables_have_their_own(kept: Project) -> None:
    """Else a plan for one value is shown for another."""
    _until_kept(kept)
    _until_kept(kept, "--set", "count=5")
    assert "8 to build" in kept.run("plan", "--set", "count=5").out
    assert "6 to build" in kept.run("plan").out
    scaled = kept.run("plan", "--json", env={"SCALE": "7"})
    assert (scaled.code, _count(scaled)) == (0, 1)
    assert scaled.out != kept.run("plan", "--json").out


def test_drift_is_told_as_by_a_load(kept: Project) -> None:
    """Else an edited function passes for the one that built what is reused."""
    assert kept.run("apply").code == 0
    kept.pipeline(PIPELINE.replace("n * factor", "factor * n"))
    for _ in range(4):
        for args in (["plan"], ["apply"], ["explain", "total"], ["plan", "drifted"]):
            one = kept.run(*args)
            assert _said(one) == _said(kept.run(*args, "--no-analysis-cache")), args
    assert "drift" in kept.run("plan").out


def test_what_is_run_must_be_what_was_planned(kept: Project) -> None:
    """Else a load that could not be known in full runs other steps than people were shown."""
    _until_kept(kept)
    old = json.loads(_index(kept).read_text())["columns"]
    columns = kept.root / ".marin-build" / "analyses" / f"{old}.columns"
    kept_columns = columns.read_bytes()
    kept.pipeline(PIPELINE.replace("count: int = 3", "count: int = 4"))
    _until_kept(kept)
    index = json.loads(_index(kept).read_text())
    _index(kept).write_text(json.dumps({**index, "columns": old}))
    columns.write_bytes(kept_columns)
    columns.chmod(0o600)
    assert "6 to build" in kept.run("plan").out, "the test needs a wrong analysis"
    refused = kept.run("apply")
    assert (refused.code, refused.out) == (5, "")
    assert "nothing was run" in refused.err
    assert not list((kept.root / ".marin-build" / "analyses").glob("*.json"))
    assert kept.run("apply").code == 0
    assert "nothing to do: 7 targets" in kept.run("apply").out


def _damages(folder: Path) -> Iterator[None]:
    (index,), (columns,) = folder.glob("*.json"), folder.glob("*.columns")
    was = index.read_bytes(), columns.read_bytes()
    middle = len(was[1]) // 2
    for broken in (b"", was[1][:-1], was[1][:middle], was[1][:middle] + b"\0" * middle, b"x" * 99):
        columns.write_bytes(broken)
        yield
    columns.write_bytes(was[1])
    documents = was[1].replace(b'"payload"', b'"paybook"')
    columns.write_bytes(documents)
    yield
    columns.write_bytes(was[1])
    for text in (b"", b"[]", b"{}", b'{"state": "used"}', was[0][:-9], b"[" * 10_000):
        index.write_bytes(text)
        yield
        index.write_bytes(was[0])
        columns.write_bytes(was[1])
    index.chmod(0o666)
    yield
    index.unlink()
    (folder / "elsewhere").write_bytes(was[0])
    index.symlink_to(folder / "elsewhere")
    yield


def test_a_damaged_file_counts_as_none(kept: Project) -> None:
    """Else a full disk or another user decides what a plan says."""
    _until_kept(kept)
    expected = _said(kept.run("plan", "--json", "--no-analysis-cache"))
    for _ in _damages(kept.root / ".marin-build" / "analyses"):
        assert _said(kept.run("plan", "--json")) == expected


def test_a_project_that_cannot_be_written_to(kept: Project) -> None:
    """Else a pipeline in a read-only checkout cannot be planned."""
    kept.write(".marin-build/analyses", "a file in its place")
    for _ in range(3):
        done = kept.run("plan")
        assert (done.code, _count(done)) == (0, 1)


def test_commands_at_the_same_time(kept: Project) -> None:
    """Else two terminals leave an analysis that is half of each."""
    expected = _said(kept.run("plan", "--no-analysis-cache")).out
    for _ in range(3):
        started = [
            subprocess.Popen(
                [PROGRAM, "plan"], cwd=kept.root, env=kept.environ(), text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for _ in range(4)
        ]  # fmt: skip
        assert [each.communicate()[0] for each in started] == [expected] * 4
    _until_kept(kept)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("print('hello')", "prints while it is loaded"),
        ("import subprocess; subprocess.run(['true'])", "starts a process"),
    ],
)
def test_doctor_says_what_stands_in_the_way(kept: Project, line: str, why: str) -> None:
    """Else people wait for imports, and do not know which line makes them."""
    kept.pipeline(f"{PIPELINE}\n{line}\n")
    for _ in range(3):
        assert _count(kept.run("plan")) == 1
    assert why in kept.run("doctor").out


def test_commands_say_whether_they_loaded(kept: Project) -> None:
    """Else people cannot tell why one plan is quick and the next one slow."""
    _until_kept(kept)
    assert kept.run("plan").err == ""
    for command in ("plan", "status"):
        assert kept.run(command, "-v").err == (
            "note: `pipeline.py` is not loaded: "
            "nothing has changed that earlier loads of it looked at\n"
        )
    kept.write("helper.py", "FACTOR = 3\n")
    assert "note: `pipeline.py` is loaded: `helper.py` was edited\n" in kept.run("plan", "-v").err
    assert "was loaded once: a second load must give the same" in kept.run("plan", "-v").err
    assert "loaded: `--no-analysis-cache` says" in kept.run("plan", "-v", "--no-analysis-cache").err
    kept.pipeline(f"{PIPELINE}\nimport subprocess; subprocess.run(['true'])\n")
    for done in (kept.run("plan", "-v"), kept.run("plan", "-v"), kept.run("config", "show")):
        assert "`pipeline.py` is loaded each time: pipeline.py:30 starts a process" in done.err


def test_a_load_counts_for_a_day(kept: Project) -> None:
    """Else a date that a library reads of the clock is yesterday's for ever."""
    _until_kept(kept)
    index = json.loads(_index(kept).read_text())
    _index(kept).write_text(json.dumps({**index, "day": "2001-01-01"}))
    done = kept.run("plan", "-v")
    assert "is loaded: it was loaded last on another day" in done.err
    assert _count(done) == 1
    assert _count(kept.run("plan")) == 0, "one load a day confirms it"


def test_what_was_just_written_does_not_count_against_it(kept_alone: Project) -> None:
    """Else two commands right after a checkout have the pipeline loaded each time from then on."""
    kept = kept_alone
    clock_ahead = kept.environment.pop("PYTHONPATH")
    for _ in range(3):
        kept.write("helper.py", "FACTOR = 2\n")
        done = kept.run("plan", "-v")
        assert "note: `pipeline.py` is loaded: " in done.err
        assert "was written just before it was read" in done.err
    kept.environment["PYTHONPATH"] = clock_ahead
    _until_kept(kept)


def test_it_can_be_switched_off(kept: Project) -> None:
    """Else a pipeline that is seen through wrongly cannot be planned at all."""
    kept.write("marin-build.toml", "analysis_cache = false\n")
    for _ in range(3):
        assert _count(kept.run("plan")) == 1
    assert not (kept.root / ".marin-build" / "analyses").exists()
    assert "off" in kept.run("doctor").out


def test_secrets_are_not_kept(kept: Project) -> None:
    """Else a token that a pipeline passes on lies in one more file."""
    secret = "hf_abcdefghijklmnopqrstuvwxyz0123456789"
    kept.pipeline(PIPELINE.replace('"LANG": "C"', '"HF_TOKEN": os.environ["HF_TOKEN"]'))
    for _ in range(3):
        done = kept.run("plan", "--set", "count=2", env={"HF_TOKEN": secret})
        assert done.code == 0
    for path in (kept.root / ".marin-build" / "analyses").iterdir():
        assert secret.encode() not in path.read_bytes()
        assert os.stat(path).st_mode & 0o077 == 0
    assert "a secret among its environment variables" in kept.run("doctor").out


EXPANDING = (
    SAYS
    + """\
from marin_build import expand, step


@step
def split(output: str) -> dict[str, int]:
    return {"shards": 2}


@step
def count(output: str, part: int) -> int:
    return part


@expand(split())
def shards(found: dict[str, int]):
    return [count(part=i) for i in range(found["shards"])]


def pipeline():
    return [shards]
"""
)


def test_expansions_are_loaded_each_time(kept: Project) -> None:
    """Else steps that follow from what is built are those of an earlier build."""
    kept.pipeline(EXPANDING)
    for _ in range(3):
        assert _count(kept.run("plan")) == 1
    assert kept.run("apply").code == 0
    assert "nothing to do: 3 targets" in kept.run("apply").out
    assert "it has expansions" in kept.run("doctor").out
