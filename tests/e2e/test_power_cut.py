"""A machine that went down while it built: nothing half-written is taken for built."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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
