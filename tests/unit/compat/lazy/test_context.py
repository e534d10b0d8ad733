"""What a config may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.compat.artifact import Artifact
from marin_build.compat.artifact_record import ArtifactRecord, write_record
from marin_build.compat.lazy import ArtifactStep, StepContext, UndeclaredArgumentError

if TYPE_CHECKING:
    from pathlib import Path


class Tokens(Artifact):
    count: int


TOKENS = ArtifactStep("tokens", "2026.06.25", Tokens, lambda _: None, lambda _: None)


def test_placeholders_stand_for_what_is_no_identity() -> None:
    """Else an artifact that is built in another region has another fingerprint."""
    context = StepContext.for_fingerprint(["chips"], [TOKENS])
    assert context.is_fingerprint
    assert (context.output_path, context.prefix, context.region) == (
        "<output_path>",
        "<prefix>",
        "<region>",
    )
    assert context.runtime_arg("chips") == "<chips>"
    assert context.artifact_path(TOKENS) == "tokens@2026.06.25"


def test_a_run_gets_what_there_is() -> None:
    context = StepContext.for_run(
        "o", "gs://b", region="us-east5", runtime_args={"chips": "v5p-8"}, deps=[TOKENS]
    )
    assert not context.is_fingerprint
    assert (context.output_path, context.prefix, context.region) == ("o", "gs://b", "us-east5")
    assert context.runtime_arg("chips") == "v5p-8"
    assert context.artifact_path(TOKENS) == "gs://b/tokens/2026.06.25"


def test_the_values_of_a_dependency_are_read_once(tmp_path: Path) -> None:
    """Else a config that asks twice reads a bucket twice."""
    place = tmp_path / "tokens" / "2026.06.25"
    write_record(ArtifactRecord(output_path=str(place), result={"count": 3}))
    context = StepContext.for_run("o", str(tmp_path), deps=[TOKENS])
    loaded = context.resolved(TOKENS)
    assert (loaded.count, context.resolved(TOKENS)) == (3, loaded)
    assert context.resolved(TOKENS) is loaded


def test_what_is_not_declared_is_not_there() -> None:
    """Else the config reads what nobody has built."""
    context = StepContext.for_run("o", "gs://b")
    for ask in (context.artifact_path, context.resolved):
        with pytest.raises(ValueError, match="not a declared dependency"):
            ask(TOKENS)
    with pytest.raises(UndeclaredArgumentError, match="chips") as caught:
        context.runtime_arg("chips")
    assert isinstance(caught.value, KeyError)
    with pytest.raises(ValueError, match="fingerprint time"):
        StepContext.for_fingerprint(deps=[TOKENS]).resolved(TOKENS)
