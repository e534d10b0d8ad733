"""Artifacts that a program builds itself."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.compat.artifact import Artifact, read_record
from marin_build.compat.lazy import ArtifactStep, adopt, resolve, run
from marin_build.errors import FingerprintMismatchError, StepFailedError
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = "2026.06.28"


class Toy(Artifact):
    payload: str


def _toy(payload: str, version: str = DAY, **fields: Any) -> ArtifactStep[Toy]:
    def config(context: Any) -> dict[str, Any]:
        return {"out": context.output_path, "payload": payload}

    def make(config: dict[str, Any]) -> Toy:
        Path(config["out"]).mkdir(parents=True, exist_ok=True)
        Path(config["out"], "data.txt").write_text(config["payload"])
        return Toy(payload=config["payload"])

    return ArtifactStep("datasets/toy", version, Toy, make, config, **fields)


@pytest.fixture
def prefix(tmp_path: Path) -> Iterator[Path]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        yield tmp_path / "out"


def test_an_artifact_is_built_recorded_and_loaded(prefix: Path) -> None:
    toy = _toy("a")
    loaded = resolve(toy)
    place = prefix / "datasets/toy" / DAY
    assert (loaded.payload, loaded.path) == ("a", str(place))
    record = read_record(place)
    assert record is not None
    assert (record.name, record.version) == ("datasets/toy", DAY)
    assert record.fingerprint == toy.fingerprint()
    assert record.fingerprint_payload == toy.fingerprint_payload()
    assert record.config == {"out": str(place), "payload": "a"}
    assert record.result == {"payload": "a"}
    assert record.result_type.endswith("Toy")
    assert record.provenance is not None
    assert record.provenance.command_line
    assert (place / ".executor_status").read_text() == "SUCCESS"


def test_a_changed_recipe_is_reported_and_what_is_there_is_used(
    prefix: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Else a published version is another one after a change of a default."""
    run(_toy("a"))
    with caplog.at_level(logging.WARNING):
        (loaded,) = run(_toy("b"))
    assert loaded.payload == "a"
    assert "drifted" in caplog.text
    assert "payload: 'a' -> 'b'" in caplog.text
    assert (prefix / "datasets/toy" / DAY / "data.txt").read_text() == "a"


def test_what_marin_built_is_judged_by_its_record(
    prefix: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Else a program of ours serves another recipe without a word, or builds it again."""
    run(_toy("a"))
    (prefix / "datasets/toy" / DAY / ".executor_info").unlink()  # Marin leaves none that counts
    with caplog.at_level(logging.WARNING):
        assert run(_toy("a"))[0].payload == "a"
        assert caplog.text == ""
        assert run(_toy("b"))[0].payload == "a"
    assert "payload: 'a' -> 'b'" in caplog.text


def test_a_pinned_recipe_is_not_served_from_another_one(prefix: Path) -> None:
    run(_toy("a"))
    pinned = _toy("b", expected_fingerprint=_toy("b").fingerprint())
    with pytest.raises(FingerprintMismatchError, match="another one was built there"):
        run(pinned)
    assert (prefix / "datasets/toy" / DAY / "data.txt").read_text() == "a"


def test_a_dev_version_is_built_each_time(prefix: Path) -> None:
    """Else who works on a step sees the output of yesterday."""
    for payload in ("a", "b"):
        assert run(_toy(payload, "dev"))[0].payload == payload
    assert (prefix / "datasets/toy/dev/data.txt").read_text() == "b"


def test_adopted_data_is_registered_where_it_lies(
    prefix: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for folder in ("old/a", "old/b"):
        (prefix / folder).mkdir(parents=True)
    (loaded,) = run(adopt("external", DAY, "old/a", config={"tokenizer": "x"}))
    assert loaded.path == str(prefix / "old/a")
    record = read_record(prefix / "external" / DAY)
    assert record is not None
    assert (record.source, record.config) == (str(prefix / "old/a"), {"tokenizer": "x"})
    with caplog.at_level(logging.WARNING):
        run(adopt("external", DAY, "old/b"))
    assert "adopt_source: 'old/a' -> 'old/b'" in caplog.text


def test_data_that_is_not_there_cannot_be_adopted(prefix: Path) -> None:
    with pytest.raises(StepFailedError) as caught:
        run(adopt("external", DAY, "nowhere"))
    causes: list[BaseException] = [caught.value]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    assert isinstance(causes[-1], FileNotFoundError)
    assert read_record(prefix / "external" / DAY) is None


def test_an_output_at_a_chosen_path_keeps_its_record(prefix: Path) -> None:
    """Else the record of what somebody else made is written over."""
    place = prefix / "pinned"
    place.mkdir(parents=True)
    (place / ".artifact.json").write_text('{"name": "theirs"}')
    pinned = dataclasses.replace(_toy("a"), override_path="pinned")
    with pytest.raises(ValueError, match="payload"):  # the record holds none of its values
        run(pinned)
    assert json.loads((place / ".artifact.json").read_text()) == {"name": "theirs"}
    assert (place / "data.txt").read_text() == "a"


def test_a_secret_in_a_config_does_not_reach_the_record(prefix: Path) -> None:
    token = "ghp_" + "a1B2" * 9

    def config(context: Any) -> dict[str, Any]:
        key = "" if context.is_fingerprint else token
        return {"out": context.output_path, "payload": "a", "note": f"use {key}"}

    run(dataclasses.replace(_toy("a"), build_config=config))
    place = prefix / "datasets/toy" / DAY
    assert token not in (place / ".artifact.json").read_text()


def test_a_dry_run_builds_and_loads_nothing(prefix: Path) -> None:
    assert run(_toy("a"), dry_run=True) == []
    assert not prefix.exists()
