"""Steps as Marin declares them, built by the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .support import OUTPUTS

if TYPE_CHECKING:
    from .support import Project

PIPELINE = """\
import enum
import json
import math
import os
from pathlib import Path

from marin_build import StepSpec

HERE = Path(__file__).parent


class Mode(enum.StrEnum):
    EXACT = "exact"


def write(output_path):
    with open(HERE / "ran.txt", "a") as stream:
        stream.write(output_path.rpartition("/")[2] + "\\n")
    if os.environ.get("FAIL"):
        raise ValueError("told to")
    with open(output_path + "/.artifact.json", "w") as stream:
        stream.write('{"name": "raw",  "result": null}')
    return {"not": "saved"}


raw = StepSpec("raw", None, [], {"mode": Mode.EXACT, "by": {9: "a", 10: "b"}, "top": math.inf},
               "raw//c++/2026.01.01", fn=write, fingerprint_payload='{"a": 1}', writes_record=True)
dev = StepSpec("dev", deps=[raw], fn=write, writes_record=True, override_output_path=Path("dev/x"),
               hash_attrs={"fingerprint": "f", "version": "ada-dev"})
sweep = StepSpec("sweep/3e+18-B8", deps=[raw], fn=lambda output_path: 1)
"""


@pytest.fixture
def marin(project: Project) -> Project:
    project.pipeline(PIPELINE)
    return project


def test_a_record_that_a_step_writes_itself_stays_and_the_payload_is_recorded(
    marin: Project,
) -> None:
    """The record is for readers of Marin's; what is returned besides would overwrite it."""
    marin.environment["FAIL"] = "1"
    assert marin.run("apply", "raw").code != 0
    del marin.environment["FAIL"]
    applied = marin.run("apply", "--json")
    assert applied.code == 0, applied.err
    output = marin.root / OUTPUTS / "raw" / "c++" / "2026.01.01"
    assert (output / ".artifact.json").read_text() == '{"name": "raw",  "result": null}'
    record = json.loads((output / ".executor_info").read_text())
    assert record["fingerprint_payload"] == '{"a": 1}'
    assert record["attributes"]["mode"] == "exact"
    assert '"by": {"9": "a", "10": "b"}, "mode": "exact", "top": Infinity' in record["payload"]
    assert marin.run("verify", "raw", "--content").code == 0


def test_what_has_a_dev_version_among_its_attributes_is_built_each_time(marin: Project) -> None:
    assert marin.run("apply").code == 0
    again = marin.run("apply", "--json")
    assert again.names_of("step_started") == ["dev"]


def test_a_plus_in_a_name_is_a_part_of_it(marin: Project) -> None:
    """Experiments name their sweeps after budgets of compute, `3e+18`."""
    marin.run("apply")
    listed = marin.run("plan", "-v", "sweep/3e+18-B8").out
    assert "sweep/3e+18-B8_" in listed
    assert "0 to build, 2 reused" in listed
    saved = marin.run("plan", "--force", "sweep/3e+18-B8", "-o", "saved")
    assert saved.code == 0, saved.err
    assert marin.run("apply", "saved").code == 0
    assert marin.run("graph", "--format", "html", "-o", "page.html").code == 0
