"""The kernel's locks below a prefix: nobody gets a lock twice, and nobody's lock is lost."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoreError
from marin_build.store.kernel_locks import NO_LOCK, KernelLocks, locks_around, offset_of
from marin_build.store.lease_choice import choose_locks, read_mark
from marin_build.store.lock_file import LockFile, leases_path, mark_path
from marin_build.store.mounts import OF_ONE_MACHINE, SHARED, file_system_of
from marin_build.store.try_locks import why_not

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def locks_of(prefix: Path) -> KernelLocks:
    return KernelLocks(str(prefix))


def test_an_offset_is_made_of_the_place_inside_the_prefix() -> None:
    """A committed number: another one would let two versions build the same target at once."""
    assert offset_of("train_9c0d1f2a") == 4165952228211605440
    assert 0 <= offset_of("\udcff") < 1 << 62


def test_one_of_two_runs_gets_a_lock(tmp_path: Path) -> None:
    first, second = locks_of(tmp_path), locks_of(tmp_path)
    mine = first.take(f"{tmp_path}/a_1")
    assert mine is not None
    assert mine.is_quick
    assert second.take(f"{tmp_path}/a_1") is None
    assert first.take(f"{tmp_path}/a_1") is None, "its own run does not get it twice either"
    theirs = second.take(f"{tmp_path}/b_1")
    assert theirs is not None
    mine.release()
    mine.release()
    again = second.take(f"{tmp_path}/a_1")
    assert again is not None
    again.release()
    theirs.release()
    first.close()
    second.close()


def test_whether_a_lock_is_free_can_be_asked(tmp_path: Path) -> None:
    first, second = locks_of(tmp_path), locks_of(tmp_path)
    mine = first.take(f"{tmp_path}/a_1")
    assert mine is not None
    identity = mine.identity
    assert not second.is_free(f"{tmp_path}/a_1", identity)
    assert not first.is_free(f"{tmp_path}/a_1", identity), "of what we hold ourselves"
    mine.release()
    assert second.is_free(f"{tmp_path}/a_1", identity)
    assert not second.is_free(f"{tmp_path}/a_1", "1"), "that was another file"
    assert not second.is_free("/elsewhere/a_1", identity)
    first.close()
    second.close()


def test_two_outputs_of_one_offset_are_built_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel would lock the byte twice for one description, and free it at the first end."""
    monkeypatch.setattr("marin_build.store.kernel_locks.offset_of", lambda _: 7)
    locks = locks_of(tmp_path)
    first = locks.take(f"{tmp_path}/a_1")
    assert first is not None
    assert locks.take(f"{tmp_path}/b_1") is None
    first.release()
    second = locks.take(f"{tmp_path}/b_1")
    assert second is not None
    second.release()
    locks.close()


def test_an_output_outside_the_prefix_has_no_lock(tmp_path: Path) -> None:
    assert locks_of(tmp_path / "out").take(f"{tmp_path}/elsewhere") is NO_LOCK
    assert not NO_LOCK.is_quick
    assert NO_LOCK.identity == ""
    NO_LOCK.release()


def test_a_file_that_cannot_be_opened_leaves_documents(tmp_path: Path) -> None:
    (tmp_path / ".marin-build").mkdir()
    os.mkdir(leases_path(str(tmp_path)))
    assert locks_of(tmp_path).take(f"{tmp_path}/a_1") is NO_LOCK
    assert "cannot lock" in why_not(str(tmp_path), lambda _: "ext4")


class TestDeletedFile:
    def test_who_comes_next_opens_another(self, tmp_path: Path) -> None:
        first, second = locks_of(tmp_path), locks_of(tmp_path)
        old = first.take(f"{tmp_path}/a_1")
        assert old is not None
        os.unlink(leases_path(str(tmp_path)))
        assert not old.is_in_place()
        new = second.take(f"{tmp_path}/a_1")
        assert new is not None
        assert new.is_in_place()
        assert new.identity != old.identity
        assert first.take(f"{tmp_path}/a_1") is None, "the old lock is still ours"
        old.release()
        assert first.take(f"{tmp_path}/a_1") is None
        new.release()
        again = first.take(f"{tmp_path}/a_1")
        assert again is not None
        again.release()
        first.close()
        second.close()

    def test_the_old_lock_goes_with_its_holder(self, tmp_path: Path) -> None:
        locks = locks_of(tmp_path)
        old = locks.take(f"{tmp_path}/a_1")
        os.unlink(leases_path(str(tmp_path)))
        new = locks.take(f"{tmp_path}/b_1")
        assert old is not None
        assert new is not None
        new.release()
        old.release()
        locks.close()


def test_a_prefix_inside_another_shares_its_locks(tmp_path: Path) -> None:
    """The same output, `name/version`, has a place in both."""
    inner, outer = locks_of(tmp_path / "lm"), locks_of(tmp_path)
    mine = inner.take(f"{tmp_path}/lm/eval/1")
    assert mine is not None
    assert outer.take(f"{tmp_path}/lm/eval/1") is None
    mine.release()
    theirs = outer.take(f"{tmp_path}/lm/eval/1")
    assert theirs is not None
    assert inner.take(f"{tmp_path}/lm/eval/1") is None
    theirs.release()
    inner.close()
    outer.close()


def test_a_program_that_knows_no_prefix_finds_the_locks(tmp_path: Path) -> None:
    output = f"{tmp_path}/out/a/1"
    assert locks_around(output) is None
    locks = locks_of(tmp_path / "out")
    mine = locks.take(output)
    found = locks_around(output)
    assert mine is not None
    assert found is not None
    assert found.take(output) is None
    mine.release()
    lock = found.take(output)
    assert lock is not None
    assert not lock.is_quick
    lock.release()
    found.close()
    locks.close()


@pytest.mark.parametrize(("mode", "expected"), [(0o755, 0o644), (0o775, 0o664), (0o777, 0o666)])
def test_who_can_write_beside_it_can_lock(tmp_path: Path, mode: int, expected: int) -> None:
    """A group shares a prefix: the umask of who came first must not shut the others out."""
    folder = tmp_path / ".marin-build"
    folder.mkdir()
    folder.chmod(mode)
    LockFile(str(tmp_path), create=True).close()
    assert stat.S_IMODE(os.stat(leases_path(str(tmp_path))).st_mode) == expected
    assert os.stat(leases_path(str(tmp_path))).st_size == 0


def _mounts(tmp_path: Path, kind: str) -> Callable[[str], str]:
    file = tmp_path / "mountinfo"
    file.write_text(f"21 1 8:1 / / rw - xfs /dev/a rw\n22 21 0:5 / {tmp_path} rw - {kind} b rw\n")
    return lambda folder: file_system_of(folder, str(file))


@pytest.mark.parametrize("kind", sorted(OF_ONE_MACHINE))
def test_on_a_disk_of_this_machine_the_locks_are_tried(tmp_path: Path, kind: str) -> None:
    assert why_not(str(tmp_path), _mounts(tmp_path, kind)) == ""
    assert os.path.exists(leases_path(str(tmp_path)))


@pytest.mark.parametrize("kind", [*SHARED, "nfs4", "fuse.sshfs", "virtiofs", "vboxsf", "new"])
def test_where_others_may_build_documents_are_written(tmp_path: Path, kind: str) -> None:
    """Also on a type that we do not know."""
    assert f"of type {kind}," in why_not(str(tmp_path), _mounts(tmp_path, kind))
    assert not os.path.exists(leases_path(str(tmp_path)))


def test_what_is_not_known_is_not_trusted(tmp_path: Path) -> None:
    assert "unknown type" in why_not(str(tmp_path), lambda _: "")


def test_locks_that_keep_nobody_out_are_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LockFile, "lock", lambda _self, _offset: True)
    assert "got the same lock" in why_not(str(tmp_path), lambda _: "ext4")


class TestChoice:
    """What the configuration says, and what others say beside the locks."""

    def test_the_locks_are_used_where_they_hold(self, tmp_path: Path) -> None:
        waits: list[float] = []
        locks = choose_locks(str(tmp_path), "auto", waits.append)
        assert locks is not None
        lock = locks.take(f"{tmp_path}/a_1")
        assert lock is not None
        assert lock.is_quick
        lock.release()
        locks.close()
        assert waits == []
        assert read_mark(str(tmp_path)) is None

    def test_documents_leave_a_mark_and_wait_for_who_has_not_seen_it(self, tmp_path: Path) -> None:
        waits: list[float] = []
        quick = choose_locks(str(tmp_path), "auto", waits.append)
        locks = choose_locks(str(tmp_path), "documents", waits.append)
        assert waits == [2.0]
        assert "`lease_by` says so" in str(read_mark(str(tmp_path)))
        assert quick is not None
        assert locks is not None
        theirs, ours = quick.take(f"{tmp_path}/a_1"), locks.take(f"{tmp_path}/b_1")
        assert theirs is not None
        assert ours is not None
        assert not theirs.is_quick
        assert not ours.is_quick
        assert locks.take(f"{tmp_path}/a_1") is None, "the locks keep us apart all the same"
        theirs.release()
        ours.release()
        quick.close()
        locks.close()

    def test_an_old_mark_is_not_waited_for(self, tmp_path: Path) -> None:
        waits: list[float] = []
        choose_locks(str(tmp_path), "documents", waits.append)
        assert waits == [], "nobody has used the locks yet"
        choose_locks(str(tmp_path), "documents", waits.append)
        os.utime(mark_path(str(tmp_path)), (1, 1))
        choose_locks(str(tmp_path), "documents", waits.append)
        assert waits == [2.0]

    def test_who_insists_on_the_locks_is_refused_beside_others(self, tmp_path: Path) -> None:
        choose_locks(str(tmp_path), "documents", lambda _: None)
        with pytest.raises(StoreError, match="others build there by documents") as refused:
            choose_locks(str(tmp_path), "kernel")
        assert f"rm {mark_path(str(tmp_path))}" in str(refused.value.hint)

    def test_who_insists_on_the_locks_is_refused_without_any(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("marin_build.store.lock_file._SET", None)
        with pytest.raises(StoreError, match="no lease of the kernel holds"):
            choose_locks(str(tmp_path), "kernel")
        assert choose_locks(str(tmp_path), "auto", lambda _: None) is None

    def test_a_folder_that_takes_no_mark_is_built_in_all_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("marin_build.store.lock_file._SET", None)
        (tmp_path / ".marin-build").write_text("a file")
        assert choose_locks(str(tmp_path), "auto", lambda _: None) is None
