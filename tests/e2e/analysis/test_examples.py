"""What the examples look at when they are loaded can be known, so that their loads can be kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from marin_build.analysis.observations import Observations

if TYPE_CHECKING:
    from tests.e2e.analysis.loads import LoadProcess

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("example", ["stdlib_lm", "five_engines", "multislice"])
def test_it_is_known_what_an_example_looks_at(
    example: str, loads: LoadProcess, tmp_path: Path
) -> None:
    project = tmp_path / example
    shutil.copytree(EXAMPLES / example, project)
    (project / "marin-build.toml").touch()

    first, second = loads.load(project), loads.load(project)

    assert (first.raised, first.reason, first.where) == ("", "", "")
    assert first.kept is not None
    assert Observations.of_json(first.kept) == Observations.of_json(second.kept)
    assert first.payloads == second.payloads
    assert loads.first_change(project, first.kept) is None
    (project / "pipeline.py").write_text((project / "pipeline.py").read_text() + "\n")
    assert loads.first_change(project, first.kept) == "`pipeline.py` was edited"
