"""What is to be committed later is read from a file of ours, and from nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from marin_build.protocol.documents import Provenance, Publication, Record
from marin_build.run_step.set_aside import (
    SetAside,
    forget_set_aside,
    set_aside,
    set_aside_of,
)

if TYPE_CHECKING:
    from pathlib import Path

OUTPUT = "gs://b/out/a_0badcafe"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def _aside() -> SetAside:
    record = Record(
        name="a", target="a_0badcafe", fn=None, attributes={}, fingerprint="f",
        deep_fingerprint="d", payload="{}", deps=(), run="r-1", attempt=2, start="s", end="e",
        seconds=1.0, exit_code=0, code_digest=None, peak_memory_bytes=None,
        provenance=Provenance(user="u", host="h", argv=(), python="3", marin_build="0"),
    )  # fmt: skip
    publication = Publication(record=record, has_artifact=True, artifact={"n": 1}, manifest=())
    return SetAside(output=OUTPUT, attempt=2, is_listed=True, publication=publication)


def test_what_is_set_aside_is_found_until_it_is_forgotten(state: Path) -> None:
    """Else what a step did is lost, or committed twice."""
    assert set_aside_of(OUTPUT) is None
    set_aside(_aside())
    assert set_aside_of(OUTPUT) == _aside()
    assert set_aside_of(OUTPUT + "x") is None
    (file,) = state.rglob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    forget_set_aside(OUTPUT)
    forget_set_aside(OUTPUT)
    assert set_aside_of(OUTPUT) is None


@pytest.mark.parametrize("what", ["a link", "a pipe", "a folder", "half", "another output"])
def test_what_is_no_file_of_ours_is_not_read(state: Path, tmp_path: Path, what: str) -> None:
    """Else a planted link has another output committed, or a pipe keeps a run waiting for ever."""
    set_aside(_aside())
    (file,) = state.rglob("*.json")
    data = file.read_bytes()
    file.unlink()
    match what:
        case "a link":
            (tmp_path / "planted").write_bytes(data)
            file.symlink_to(tmp_path / "planted")
        case "a pipe":
            os.mkfifo(file)
        case "a folder":
            file.mkdir()
        case "half":
            file.write_bytes(data[:50])
        case _:
            file.write_bytes(data.replace(OUTPUT.encode(), b"gs://b/out/other"))
    assert set_aside_of(OUTPUT) is None
