"""What an earlier version of marin-build has built under its own formula of identity."""

from __future__ import annotations

import enum
import json
import shutil
from typing import TYPE_CHECKING, Any

from marin_build import StepSpec
from marin_build.identity.payload import deep_fingerprint
from marin_build.pipeline.formulas import NOW, TAGGED_ENUMS

from .support import OUTPUTS

if TYPE_CHECKING:
    from marin_build.pipeline.formulas import Formula

    from .support import Project

PIPELINE = """\
import enum
from pathlib import Path

from marin_build import StepSpec

HERE = Path(__file__).parent


class Mode(enum.StrEnum):
    EXACT = "exact"


def ran(name):
    with open(HERE / "ran.txt", "a") as stream:
        stream.write(name + "\\n")


def dedup(output_path):
    ran("dedup")
    Path(output_path, "x").write_text("42")


raw = StepSpec("dedup", hash_attrs={"mode": Mode.EXACT}, fn=dedup)
place = raw.output_path  # asked for before anybody knows where it was built


def train(output_path):
    ran("train")
    Path(output_path, "y").write_text(Path(place, "x").read_text())


train = StepSpec("train", deps=[raw], fn=train)
"""


class Mode(enum.StrEnum):
    EXACT = "exact"


def _dedup(formula: Formula) -> StepSpec:
    step = StepSpec("dedup", hash_attrs={"mode": Mode.EXACT})
    step.use_formula(formula)
    return step


def _move_to_former_identity(project: Project) -> None:
    """Make of what was built now what an earlier version would have left."""
    was, now = _dedup(TAGGED_ENUMS), _dedup(NOW)
    outputs = project.root / OUTPUTS
    folder = outputs / was.name_with_hash
    shutil.move(outputs / now.name_with_hash, folder)
    record: dict[str, Any] = json.loads((folder / ".executor_info").read_text())
    record |= {
        "target": was.target_id, "payload": was.payload, "fingerprint": was.fingerprint,
        "deep_fingerprint": deep_fingerprint(was.fingerprint, []),
    }  # fmt: skip
    (folder / ".executor_info").write_text(json.dumps(record))


def test_what_was_built_with_an_enum_is_reused_where_it_lies(project: Project) -> None:
    """And a step whose file asked for the path reads it there, not where it would lie today."""
    project.pipeline(PIPELINE)
    assert project.run("apply", "dedup").code == 0
    _move_to_former_identity(project)
    was = _dedup(TAGGED_ENUMS).name_with_hash
    planned = project.run("plan", "-v").out
    assert f"= reuse    {was}" in planned
    applied = project.run("apply")
    assert applied.code == 0, applied.err
    assert project.counts() == {"dedup": 1, "train": 1}
    assert "nothing to do" in project.run("plan").out
    alone = project.run("run-step", "--target", was)
    assert alone.code == 0, alone.err
    assert project.counts() == {"dedup": 1, "train": 1}
