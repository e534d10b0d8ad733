"""What records say of how an output was made: ours, Marin's, and damaged ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from marin_build.protocol.recipe_reader import Recipe, parse_recipe

MARIN = Path(__file__).parents[2] / "data/marin"
OURS = {
    "executor_version": "marin_build/1",
    "fn": "pipeline.report",
    "command": None,
    "attributes": {"rate": 0.5},
    "deps": ["words_8b027a8a"],
    "payload": json.dumps({"inputs": {"corpus.txt": "ab12"}}),
    "provenance": {"argv": ["marin-build"], "marin_build": "0.1.0", "commit": "c0", "dirty": True},
}


def test_a_record_of_ours_says_what_made_the_output_and_from_what() -> None:
    """Else nobody can tell how a result came about once the pipeline has changed."""
    assert parse_recipe(json.dumps(OURS).encode()) == Recipe(
        "pipeline.report",
        attributes={"rate": 0.5},
        deps=("words_8b027a8a",),
        inputs={"corpus.txt": "ab12"},
        commit="c0",
        is_dirty=True,
        argv=("marin-build",),
        written_by="marin-build 0.1.0",
    )


@pytest.mark.parametrize(
    ("paths", "read"),
    [
        (["gs://b/chosen"], ("gs://b/chosen",)),
        (["gs://b/chosen", "gs://b/other"], ()),
        (None, ()),
    ],
)
def test_where_the_inputs_lay_is_read_of_records_that_say_it(
    paths: list[str] | None, read: tuple[str, ...]
) -> None:
    """Else `show` names a folder that is not there, for what lies at a path of its own."""
    recipe = parse_recipe(json.dumps({**OURS, "dependencies": paths}).encode())
    assert recipe is not None
    assert recipe.dep_paths == read


@pytest.mark.parametrize(
    ("command", "text"),
    [({"shell": "echo a | wc"}, "echo a | wc"), ({"argv": ["echo", "a b"]}, "echo 'a b'")],
)
def test_a_command_is_shown_as_it_is_typed(command: dict[str, object], text: str) -> None:
    """Else it has to be put together from a list of words."""
    recipe = parse_recipe(json.dumps({**OURS, "command": command}).encode())
    assert recipe is not None
    assert (recipe.made_by, recipe.is_command) == (text, True)


def test_records_of_marin_are_read_as_far_as_they_say() -> None:
    """Else what Marin built has no history here."""
    recipe = parse_recipe((MARIN / "raw/dclm-1a2b3c/.executor_info").read_bytes())
    assert recipe is not None
    assert recipe.made_by == "marin.download.huggingface.download_hf.download_hf"
    assert recipe.attributes["revision"] == "a3b142c"
    assert recipe.written_by == "Marin's Executor"


def test_what_marin_recorded_of_an_artifact_is_read() -> None:
    """Else `show` says nothing of the newest outputs in a bucket that Marin filled."""
    artifact = (MARIN / "evals/tiny/2026.03.01/.artifact.json").read_bytes()
    assert parse_recipe(None, artifact) == Recipe(
        attributes={"task": "mmlu", "shots": 5},
        deps=("models/tiny@2026.03.01",),
        written_by="Marin",
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"[1]", b"\xff", b"[" * 999,
     json.dumps({**OURS, "provenance": 7}).encode(),
     json.dumps({**OURS, "payload": "["}).encode(),
     json.dumps({**OURS, "command": {"shell": 7}}).encode()],
)  # fmt: skip
def test_a_damaged_record_says_nothing(data: bytes) -> None:
    """Else one bad file keeps a user from looking at the output."""
    assert parse_recipe(data) is None
