"""Steps that write the record of their artifact themselves, as Marin's artifact steps do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .support import Project

PIPELINE = """\
import json
from pathlib import Path
from marin_build import Artifact, StepSpec

RECORD = {"name": "toy", "version": "1", "fingerprint": "f", "result_type": "T", "output_path": ""}

def toy(output):
    tries = Path("tries")
    seen = tries.read_text() if tries.exists() else ""
    tries.write_text(seen + "x")
    record = {**RECORD, "result": {"loss": 0.5}}
    Path(output, ".artifact.json").write_text(json.dumps(record))
    if not seen:
        raise ValueError("not yet")
    return {"loss": "the bare value"}

def below(output):
    return Artifact.load(made)

made = StepSpec("toy", fn=toy, writes_record=True, hash_attrs={"q": 1})
targets = [StepSpec("below", fn=below, deps=[made])]
"""


def test_a_record_that_a_step_wrote_stays_as_it_is(project: Project) -> None:
    """Else the bare value, or nothing, takes the place of what says how it was made."""
    project.pipeline(PIPELINE)
    assert project.run("apply").code == 1
    done = project.run("apply")
    assert done.code == 0, done.err
    toy, below = project.output_of("toy"), project.output_of("below")
    assert json.loads((toy / ".artifact.json").read_text())["result"] == {"loss": 0.5}
    assert json.loads((below / ".artifact.json").read_text()) == {"loss": 0.5}
    said = json.loads((toy / ".executor_info").read_text())
    assert (said["config"], said["version"], said["dependencies"]) == ({"q": 1}, {}, [])
    assert said["output_path"].endswith(f"/{said['target']}")
    verified = project.run("verify", "toy", "below", "--content")
    assert verified.code == 0, verified.out
