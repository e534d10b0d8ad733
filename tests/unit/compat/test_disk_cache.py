"""Files that were written for Marin's `disk_cache` load what it, and what they, have kept."""

from __future__ import annotations

import functools
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import STATUS_SUCCESS, Artifact, StatusFile, distributed_lock
from marin_build.compat.disk_cache import disk_cache
from marin_build.errors import StoppedError
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def prefix(tmp_path: Path) -> Iterator[Path]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "prefix"))):
        yield tmp_path / "prefix"


def _never(*_: object) -> None:
    raise AssertionError("it was called again")


def test_a_result_at_a_path_is_loaded_from_its_pickle(tmp_path: Path) -> None:
    """Else a function that takes hours runs again, each time its result is wanted."""
    calls: list[int] = []

    @disk_cache(output_path=tmp_path / "cache")
    def expensive(x: int, *, y: int) -> dict[str, Any]:
        """Say it."""
        calls.append(x)
        return {"sum": x + y, "kept": complex(x, y)}

    assert expensive(3, y=7) == expensive(3, y=7) == {"sum": 10, "kept": 3 + 7j}
    assert calls == [3]
    assert pickle.loads((tmp_path / "cache/data.pkl").read_bytes())["sum"] == 10
    assert (expensive.__name__, expensive.__doc__) == ("expensive", "Say it.")


def test_what_another_program_kept_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/data.pkl").write_bytes(pickle.dumps({"value": 99}))
    StatusFile(tmp_path / "out", "another").write_status(STATUS_SUCCESS)
    assert disk_cache(_never, output_path=str(tmp_path / "out"))("x") == {"value": 99}


def test_without_a_path_the_result_lies_in_a_temporary_folder(prefix: Path) -> None:
    @functools.cache
    @disk_cache
    def load(name: str) -> list[str]:
        return [name]

    first = load("bert")
    load.cache_clear()
    assert load("bert") == first
    assert load("gpt") == ["gpt"]
    folders = sorted((prefix / "tmp").glob("disk_cache_*"))
    assert [(folder / "data.pkl").exists() for folder in folders] == [True, True]


def test_functions_that_save_and_load_are_used(tmp_path: Path) -> None:
    output = str(tmp_path / "out")
    cached = disk_cache(
        distributed_lock(lambda path: {"at": path}),
        output_path=output, save_fn=Artifact.save, load_fn=Artifact.load,
    )  # fmt: skip
    assert cached(output) == cached(output) == {"at": output}
    assert not (tmp_path / "out/data.pkl").exists()


def test_a_pickle_that_another_user_may_write_is_not_loaded(tmp_path: Path) -> None:
    """Else another user of the machine has this program do anything."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    with pytest.raises(StoppedError, match="a pickle is not used where other users may write it"):
        disk_cache(_never, output_path=tmp_path / "out")()
