"""A machine that went down while it built: nothing half-written is taken for built."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from marin_build.protocol.holder import own_lease

if TYPE_CHECKING:
    from tests.e2e.support import Project

PIPELINE = """
from pathlib import Path
from marin_build import step

HERE = Path(__file__).parent

@step
def one(output: Path) -> None:
    (output / "data").write_text("1")
    with (HERE / "count").open("a") as count:
        count.write("one\\n")

@step
def two(output: Path, one: Path) -> None:
    (output / "data").write_text((one / "data").read_text())
    with (HERE / "count").open("a") as count:
        count.write("two\\n")

def pipeline():
    return two(one())
"""


def test_what_was_not_surely_on_disk_is_built_again(project: Project) -> None:
    """Else a SUCCESS stands beside files of zeros, and everything below is built from them."""
    project.pipeline(PIPELINE)
    assert project.run("apply").code == 0
    records = {
        name: json.loads((project.output_of(name) / ".executor_info").read_text())
        for name in ("one", "two")
    }
    (run,) = {record["run"] for record in records.values()}
    folder = project.output_of("one").parent / ".marin-build" / "unsynced"
    assert list(folder.iterdir()) == [], "a run that ended leaves no note"
    # The machine goes down after the sync that covered `one`; `two` was finished after it.
    note = {
        "run": run,
        "boot": "another boot",
        "host": records["one"]["provenance"]["host"],
        "synced_until": records["one"]["end"],
    }
    (folder / f"{run}.json").write_text(json.dumps(note))
    planned = project.run("plan")
    assert "two_HASH" in project.mask(planned.out)
    assert (
        f"built by run {run}, but the machine went down before it was surely on disk" in planned.out
    )
    again = project.run("apply", "--json")
    assert (again.code, again.names_of("step_succeeded")) == (0, ["two"])
    assert (project.root / "count").read_text().split() == ["one", "two", "two"]
    assert project.run("apply").out.startswith("nothing to do: 2 targets are reused\n")


@pytest.mark.parametrize("lease_by", ["auto", "documents"])
@pytest.mark.parametrize("left", ["the status", "all but the data", "nothing"])
def test_what_a_power_cut_left_empty_is_built_again(
    project: Project, lease_by: str, left: str
) -> None:
    """Else a person must find each of these files, and write into it."""
    project.write("marin-build.toml", f'lease_by = "{lease_by}"\n')
    project.pipeline(PIPELINE)
    assert project.run("apply").code == 0
    output = project.output_of("two")
    for file in output.rglob("*"):
        is_data = not file.relative_to(output).parts[0].startswith(".")
        is_empty = not is_data if left == "all but the data" else True
        if left == "the status":
            is_empty = file.name == ".executor_status"
        if file.is_file() and is_empty:
            file.write_bytes(b"")
    planned = project.run("plan", "--json").document
    assert (planned["summary"]["run"], planned["summary"]["blocked"]) == (1, 0)
    again = project.run("apply", "--json")
    assert (again.code, again.names_of("step_succeeded")) == (0, ["two"]), again
    assert project.run("verify", "two").code == 0


def test_a_commit_that_a_power_cut_left_empty_is_built_again(project: Project) -> None:
    """Else the target is committed for ever, and nothing can publish it."""
    project.use_documents()
    project.pipeline(PIPELINE)
    assert project.run("apply").code == 0
    output = project.output_of("two")
    dead = replace(own_lease("ada@here"), run="r-1", attempt=1, pid=2**22 + 1, seal="0" * 64)
    (output / ".executor_status.lock").write_bytes(dead.encode())
    (output / ".executor_status").write_text("RUNNING")
    (output / ".executor_info").unlink()
    (output / ".logs" / "attempt-0001.json").write_bytes(b"")
    again = project.run("apply", "--json")
    assert (again.code, again.names_of("step_succeeded")) == (0, ["two"]), again
    assert not (output / ".executor_status.lock").exists()
    assert (output / ".logs" / "attempt-0002.json").exists()


def test_an_adoption_that_a_power_cut_left_empty_deletes_no_data(project: Project) -> None:
    """Its status may be empty only if its lease says, whole, that no build made the data."""
    project.use_documents()
    project.pipeline(PIPELINE)
    output = Path(project.run("path", "one").out.strip())
    output.mkdir(parents=True)
    (output / "data").write_text("the only copy")
    dead = replace(own_lease("ada@here"), run="a-1", attempt=1, pid=2**22 + 1)
    (output / ".executor_status.lock").write_bytes(dead.encode())
    (output / ".executor_status").write_bytes(b"")
    refused = project.run("apply", "one")
    assert refused.code == 1
    assert "adopt" in refused.err
    assert (output / "data").read_text() == "the only copy"
