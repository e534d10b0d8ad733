"""What a failed step left with rights that forbid to delete it is cleared all the same."""

from __future__ import annotations

import os
import shutil
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoreError
from marin_build.run_step.leftover_rights import clear_folder, give_rights_back
from marin_build.run_step.output_folder import clear_leftovers
from marin_build.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534


@pytest.fixture
def output() -> Iterator[Path]:
    """An output of a user that is not root: root may delete anything."""
    place = Path(tempfile.mkdtemp(prefix="marin-rights-"))
    place.chmod(0o777)
    yield place / "out"
    shutil.rmtree(place)


def _as_user(work: Callable[[], None]) -> None:
    """Do something in a process without the rights of root."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - the process must end here
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _clear(output: Path) -> None:
    assert clear_leftovers(LocalStore(), str(output), is_held=lambda: True)
    assert list(output.iterdir()) == []


LEFT = {
    "a read-only folder": [("a", 0o555)],
    "one that nobody may enter": [("a", 0o000)],
    "one in another": [("a/b", 0o555), ("a", 0o555)],
    "one in one that may not be listed": [("a/b", 0o000), ("a", 0o300)],
    "two": [("a", 0o500), ("b/c/d", 0o400)],
    "the output itself": [("a", 0o555), (".", 0o555)],
    "the output, closed": [(".", 0o000)],
}


@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
def test_rights_that_a_step_took_from_itself_are_restored(
    output: Path, left: list[tuple[str, int]]
) -> None:
    """Else every later apply fails with what looks like the step's own `Permission denied`."""

    def work() -> None:
        for name, _ in left:
            (output / name).mkdir(parents=True, exist_ok=True)
            (output / name / "data").write_text("x")
            (output / name / "data").chmod(0o444)
        for name, mode in left:
            (output / name).chmod(mode)
        _clear(output)

    _as_user(work)


def test_a_link_is_deleted_and_where_it_leads_stays(output: Path) -> None:
    """Else clearing an output opens a folder of another user."""

    def work() -> None:
        corpus = output.parent / "corpus"
        (corpus / "data").mkdir(parents=True)
        (output / "a").mkdir(parents=True)
        (output / "a" / "link").symlink_to(corpus)
        (output / "link").symlink_to(corpus)
        corpus.chmod(0o500)
        (output / "a").chmod(0o500)
        _clear(output)
        assert corpus.stat().st_mode & 0o777 == 0o500
        assert (corpus / "data").is_dir()
        corpus.chmod(0o700)

    _as_user(work)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can leave files of another user")
def test_what_is_another_users_is_named_with_its_owner(output: Path) -> None:
    """Else `Permission denied` of another user's files looks like a mistake of the step."""
    (output / "cache").mkdir(parents=True)
    (output / "cache" / "data").write_text("x")
    output.chmod(0o777)

    def work() -> None:
        with pytest.raises(StoreError, match=r"attempt left: .*, owned by root, rights 0"):
            _clear(output)

    _as_user(work)


def test_a_step_may_close_its_own_output(output: Path) -> None:
    """Else its end cannot be written down, and it stays RUNNING for ever."""

    def work() -> None:
        (output / ".logs").mkdir(parents=True)
        (output / ".logs").chmod(0o500)
        output.chmod(0o500)
        with pytest.raises(StoreError, match="permission denied") as caught:
            LocalStore().put(str(output / ".executor_status"), b"FAILED")
        assert "chmod u+rwx" in str(caught.value.hint)
        give_rights_back(str(output))
        LocalStore().put(str(output / ".executor_status"), b"FAILED")
        LocalStore().put(str(output / ".logs" / "attempt-0001.json"), b"{}")

    _as_user(work)


@pytest.mark.parametrize("swapped", [".", "sub", "sub/inner"])
@pytest.mark.parametrize("is_closed", [False, True], ids=["open", "with rights to restore"])
def test_a_folder_that_becomes_a_link_while_it_is_deleted(
    output: Path, swapped: str, is_closed: bool
) -> None:
    """A process that a step left behind can do that: what the link points to is not ours."""
    corpus = output.parent / "corpus"

    def work() -> None:
        for folder in (corpus, output / "sub/inner"):
            folder.mkdir(parents=True)
            (folder / "data").write_text("x")
        if is_closed:
            (output / "sub").chmod(0o500)

        def swap(_name: str) -> bool:
            place = output / swapped
            if not place.is_symlink():
                (output / "sub").chmod(0o700)
                place.rename(output.parent / "aside")
                place.symlink_to(corpus)
                if is_closed and swapped == "sub/inner":
                    (output / "sub").chmod(0o500)
            return False

        with suppress(OSError):
            clear_folder(str(output), swap)
        assert (corpus / "data").read_text() == "x"

    _as_user(work)


@pytest.mark.parametrize("closed", [False, True])
def test_folders_deeper_than_recursion_and_paths_reach(output: Path, closed: bool) -> None:
    """A step may leave one; it must not end every later apply with a RecursionError."""

    def work() -> None:
        output.mkdir()
        folder = os.open(output, os.O_RDONLY)
        for _ in range(1100):
            os.mkdir("of-some-length", dir_fd=folder)
            inner = os.open("of-some-length", os.O_RDONLY, dir_fd=folder)
            os.close(os.open("file", os.O_CREAT, dir_fd=inner))
            if closed:
                os.chmod(folder, 0o500)
            os.close(folder)
            folder = inner
        os.close(folder)
        _clear(output)

    _as_user(work)
