"""What lies under a prefix is found without a pipeline, and what is not ours is not called ours."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.errors import StoreError
from marin_build.observe.read_inventory import read_inventory
from marin_build.observe.walk_prefix import walk_prefix
from marin_build.plan.target_state import State
from marin_build.protocol.lease import Host, Lease
from marin_build.store.local import LocalStore
from marin_build.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from marin_build.plan.inventory import Inventory, InventoryTarget

PREFIX = "gs://lab/out"
HERE = Host("ada@laptop", "")
_NOBODY = 65534


def record(target: str, **said: Any) -> bytes:
    document = {
        "executor_version": "marin_build/1",
        "name": target.partition("@")[0].rpartition("_")[0] or target.partition("@")[0],
        "target": target,
        "fingerprint": "f" * 64,
        "payload": "{}",
        "deps": [],
        "run": "r-00000001",
        "end": "2026-11-21T10:00:00+00:00",
        "provenance": {"user": "ada", "host": "laptop"},
        "files": 2,
        "bytes": 300,
        **said,
    }
    return json.dumps(document).encode()


def inventory(files: dict[str, bytes], **options: Any) -> Inventory:
    store = MemoryStore()
    for path, data in files.items():
        store.put(f"{PREFIX}/{path}", data)
    return read_inventory(store, PREFIX, HERE, **options)


def built(target: str, folder: str | None = None, **said: Any) -> dict[str, bytes]:
    folder = folder or target.replace("@", "/")
    return {
        f"{folder}/.executor_status": b"SUCCESS",
        f"{folder}/.executor_info": record(target, **said),
        f"{folder}/data.bin": b"x",
    }


def the(found: Inventory, target: str) -> InventoryTarget:
    (one,) = [each for each in found.targets if each.target == target]
    return one


def test_outputs_are_found_at_every_depth_with_size_and_end_from_their_records() -> None:
    found = inventory(
        built("tokens_11111111") | built("data/web/clean_22222222") | built("data/eval@2026.11")
    )
    said = [(t.name, t.target, t.size, t.files, t.size_source) for t in found.targets]
    assert said == [
        ("data/eval", "data/eval@2026.11", 300, 2, "record"),
        ("data/web/clean", "data/web/clean_22222222", 300, 2, "record"),
        ("tokens", "tokens_11111111", 300, 2, "record"),
    ]
    assert {t.state.state for t in found.targets} == {State.BUILT}
    assert found.foreign == ()


def test_what_has_neither_status_nor_record_is_foreign_and_named_once() -> None:
    found = inventory(
        built("tokens_11111111")
        | built("data/clean_22222222")
        | {
            "datasets/wiki/en/part-1.txt": b"",
            "datasets/wiki/de/part-1.txt": b"",
            "data/notes/todo.txt": b"",
            "copied_33333333/model.bin": b"",
            "date=2024/part.txt": b"",
            ".git/config": b"",
            ".marin-build/runs/r-00000001/run.json": b"",
            "README": b"",
        }
    )
    assert [(each.path.removeprefix(f"{PREFIX}/"), each.why) for each in found.foreign] == [
        (".git", "no step can be called so"),
        ("copied_33333333", ""),
        ("data/notes", ""),
        ("datasets", ""),
        ("date=2024", "no step can be called so"),
    ]
    assert found.loose == ("README",)
    assert len(found.targets) == 2


def test_a_prefix_inside_is_a_group_whose_bookkeeping_is_ours() -> None:
    """Else who looks at a whole bucket is told that the runs of its prefixes are not ours."""
    found = inventory(
        built("a_11111111", folder="run/a_11111111")
        | built("b_11111111", folder="run/b_11111111", deps=["a_11111111"])
        | built("a_11111111")
        | {"run/.marin-build/runs/r-1/run.json": b"", ".marin-build/code/x.json": b""}
    )
    assert [(t.name, t.target) for t in found.targets] == [
        ("a", "a_11111111"), ("run/a", "run/a_11111111"), ("run/b", "run/b_11111111"),
    ]  # fmt: skip
    (needed,) = found.consumers
    assert needed == f"{PREFIX}/run/a_11111111", "that of the same prefix"
    assert found.foreign == ()
    assert found.own_folders == (f"{PREFIX}/.marin-build", f"{PREFIX}/run/.marin-build")


def test_what_is_not_ours_is_measured_only_if_asked() -> None:
    files = {"datasets/en/part-1.txt": b"12345", "datasets/de/part-1.txt": b"678"}
    (unmeasured,) = inventory(files).foreign
    assert unmeasured.size is None
    (measured,) = inventory(files, foreign_sizes=True).foreign
    assert (measured.size, measured.files) == (8, 2)


def test_states_are_those_of_status() -> None:
    held = Lease("bob@tpu-7", 1.0, run="r-00000002", attempt=1, nonce="n", boot="b", pid=1)
    found = inventory(
        {
            "a_11111111/.executor_status": b"RUNNING",
            "a_11111111/.executor_status.lock": held.encode(),
            "b_11111111/.executor_status": b"FAILED",
            "b_11111111/part": b"12345678",
            "b_11111111/.logs/attempt-0001.log": b"long",
            "c_11111111/.executor_status": b"RUNNING",
            "d_11111111/.executor_status": b"what",
            "e_11111111/.logs/attempt-0001.json": b"{}",
            "f_11111111/.executor_status.lock": held.encode(),
        }
    )
    assert {t.name: t.state.state for t in found.targets} == {
        "a": State.RUNNING,
        "b": State.FAILED,
        "c": State.INTERRUPTED,
        "d": State.UNREADABLE,
        "e": State.NOT_BUILT,
        "f": State.RUNNING,
    }
    failed = the(found, "b_11111111")
    assert (failed.size, failed.files, failed.size_source) == (8, 1, "listing")


def test_a_record_of_an_earlier_build_tells_no_size_of_what_failed_since() -> None:
    files = built("a_11111111") | {"a_11111111/.executor_status": b"FAILED"}
    assert the(inventory(files), "a_11111111").size == 1


def test_sizes_need_not_be_listed() -> None:
    files = {"b_11111111/.executor_status": b"FAILED", "b_11111111/part": b"12345678"}
    assert the(inventory(files, sizes=False), "b_11111111").size is None


def test_consumers_are_found_by_id_and_by_path_and_say_when_it_was_last_used() -> None:
    found = inventory(
        built("a_11111111", end="2026-01-01")
        | built("b_11111111", end="2026-02-01", deps=["a_11111111"])
        | built("c_11111111", end="2026-03-01", deps=[f"{PREFIX}/a_11111111"])
        | built("d_11111111", end="2026-04-01", deps=["gone_11111111", "d_11111111"])
    )
    a, d = the(found, "a_11111111"), the(found, "d_11111111")
    assert [each.name for each in found.consumers[a.path]] == ["c", "b"]
    assert found.last_used(a) == "2026-03-01"
    assert d.path not in found.consumers
    assert found.last_used(d) == ""


def test_the_newest_build_of_a_name_comes_first() -> None:
    found = inventory(
        built("a_11111111", end="2026-01-01")
        | built("a_22222222", end="2026-03-01")
        | built("a_33333333", end="2026-02-01")
    )
    ((name, identities),) = found.by_name()
    assert name == "a"
    assert [each.target for each in identities] == ["a_22222222", "a_33333333", "a_11111111"]


def test_the_pointer_for_people_marks_one_identity() -> None:
    pointer = {".marin-build/latest/data~a": f"{PREFIX}/data/a_22222222\n".encode()}
    found = inventory(built("data/a_11111111") | built("data/a_22222222") | pointer)
    assert [t.target for t in found.targets if t.is_latest] == ["data/a_22222222"]


def test_adopted_data_that_lies_elsewhere_takes_no_room_here() -> None:
    found = inventory(built("a_11111111", adopted_from="gs://other/data", files=9, bytes=1000))
    (one,) = found.targets
    assert (one.size, one.size_here, one.data, one.holds_adopted) == (
        1000, 0, "gs://other/data", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{",
        b"[]",
        record("other_99999999"),
        record("../../etc@x"),
        record("a_11111111", deps=7),
    ],
)
def test_a_path_with_a_hash_is_that_target_whatever_a_record_claims(said: bytes) -> None:
    files = {"a_11111111/.executor_status": b"SUCCESS", "a_11111111/.executor_info": said}
    (one,) = inventory(files).targets
    assert (one.name, one.target) == ("a", "a_11111111")


def test_an_output_at_a_path_of_its_own_is_what_its_record_says() -> None:
    (one,) = inventory(built("model_11111111", folder="released/best")).targets
    assert (one.name, one.target, one.path) == (
        "model", "model_11111111", f"{PREFIX}/released/best",
    )  # fmt: skip


def test_what_marin_built_is_found_by_its_own_records() -> None:
    artifact = {"name": "data/web", "version": "2026.06", "fingerprint": "abc", "result_type": "x",
                "deps": ["raw@1"], "provenance": {"built_by": "ada",
                "created_at": "2026-06-01T00:00:00"}}  # fmt: skip
    executor = {"name": "old", "dependencies": [f"{PREFIX}/raw/1"], "config": {}, "version": {}}
    found = inventory(
        {
            "data/web/2026.06/.executor_status": b"SUCCESS",
            "data/web/2026.06/.artifact.json": json.dumps(artifact).encode(),
            "data/web/2026.06/x": b"123",
            "old-abc123/.executor_status": b'{"status": "SUCCESS"}\n',
            "old-abc123/.executor_info": json.dumps(executor).encode(),
            "raw/1/.executor_status": b"SUCCESS",
        }
    )
    assert [(t.name, t.target, t.size, t.needs) for t in found.targets] == [
        ("data/web", "data/web@2026.06", 3, ("raw@1",)),
        ("old", "old-abc123", 0, (f"{PREFIX}/raw/1",)),
        ("raw", "raw@1", 0, ()),
    ]
    raw = the(found, "raw@1")
    assert {each.name for each in found.consumers[raw.path]} == {"old", "data/web"}


def test_a_tainted_build_is_told_from_a_later_one() -> None:
    def mark(run: str) -> bytes:
        entry = {"root": "a_11111111", "run": run, "reason": "bad", "by": "ada", "at": ""}
        return json.dumps({"target": "a_11111111", "entries": [entry]}).encode()

    path = ".marin-build/tainted/a_11111111.json"
    state = the(inventory(built("a_11111111") | {path: mark("r-00000001")}), "a_11111111").state
    assert state.state is State.TAINTED
    state = the(inventory(built("a_11111111") | {path: mark("r-other")}), "a_11111111").state
    assert state.state is State.BUILT
    state = the(inventory(built("a_11111111") | {path: b"{"}), "a_11111111").state
    assert state.state is State.UNREADABLE


def test_an_output_inside_another_one_is_found_if_the_pipeline_names_it() -> None:
    files = built("a_11111111") | built("b@1", folder="a_11111111/inside/b")
    assert len(inventory(files).targets) == 1
    found = inventory(files, known=[f"{PREFIX}/a_11111111/inside/b", "gs://other/c", f"{PREFIX}/d"])
    assert {t.name for t in found.targets} == {"a", "b"}
    assert found.foreign == ()


def test_an_endless_tree_of_other_people_is_not_walked_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("marin_build.observe.walk_prefix._MOST_FOLDERS", 3)
    store = MemoryStore()
    for number in range(5):
        store.put(f"{PREFIX}/tree/{number}/deep/file", b"")
    store.put(f"{PREFIX}/a_11111111/.executor_status", b"SUCCESS")
    walked = walk_prefix(store, PREFIX)
    assert walked.left_out == 5
    assert set(walked.outputs) == {f"{PREFIX}/a_11111111"}
    assert walked.foreign(PREFIX) == {f"{PREFIX}/tree": ""}


def test_nothing_lies_under_a_prefix_that_is_empty_or_not_there(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        found = read_inventory(LocalStore(), str(place), HERE)
        assert (found.targets, found.foreign, found.loose) == ((), (), ())


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def test_links_and_names_that_no_text_has_are_not_followed(tmp_path: Path) -> None:
    _write(tmp_path, built("a_11111111"))
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "b_11111111").symlink_to(tmp_path / "a_11111111")
    os.mkdir(os.fsencode(tmp_path) + b"/\xff\xfe")
    (tmp_path / "new\nline").mkdir()
    found = read_inventory(LocalStore(), str(tmp_path), HERE)
    assert [t.target for t in found.targets] == ["a_11111111"]
    assert len(found.foreign) == 4


def test_what_a_link_points_to_is_not_measured(tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk"
    _write(elsewhere, {"large": b"x" * 1000})
    (tmp_path / "out").mkdir()
    for name in ("linked", "no name of a step"):
        (tmp_path / "out" / name).symlink_to(elsewhere)
    found = read_inventory(LocalStore(), str(tmp_path / "out"), HERE, foreign_sizes=True)
    assert [(each.size, each.files) for each in found.foreign] == [(0, 0), (0, 0)]


@contextmanager
def _without_the_rights_of_root(folder: Path) -> Iterator[None]:
    """Root may read everything; pytest keeps its folders from other users."""
    if os.geteuid() != 0:
        yield
        return
    for above in (folder, *folder.parents):
        if not above.stat().st_mode & 0o001:
            above.chmod(0o755)
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_without_rights_hides_itself_and_nothing_else(tmp_path: Path) -> None:
    _write(tmp_path, built("a_11111111") | built("b_11111111") | built("c/d_11111111"))
    for name in ("b_11111111", "c"):
        (tmp_path / name).chmod(0)
    with _without_the_rights_of_root(tmp_path):
        found = read_inventory(LocalStore(), str(tmp_path), HERE)
        with pytest.raises(StoreError, match="cannot list"):
            read_inventory(LocalStore(), str(tmp_path / "c"), HERE)
    for name in ("b_11111111", "c"):
        (tmp_path / name).chmod(0o755)
    assert [t.target for t in found.targets] == ["a_11111111"]
    assert {each.why for each in found.foreign} == {"it cannot be read"}
