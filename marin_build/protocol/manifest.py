"""Two lists of files: what is missing, what has another size, what was added. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from marin_build.protocol import layout
from marin_build.protocol.attempt_reader import parse_attempt, recorded
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.protocol.lease import Lease
    from marin_build.protocol.record_reader import Built
    from marin_build.protocol.status import Status
    from marin_build.store.base import File, Store


class Resized(NamedTuple):
    """A file of another size, in bytes."""

    path: str
    expected: int
    found: int


@dataclass(frozen=True, slots=True)
class FileChanges:
    """How files differ from those that were expected; false if they do not."""

    missing: tuple[str, ...] = ()
    resized: tuple[Resized, ...] = ()
    added: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.missing or self.resized or self.added)

    @property
    def loses(self) -> bool:
        """Whether data is gone: files, or the ends of files."""
        return bool(self.missing) or any(file.found < file.expected for file in self.resized)

    @property
    def words(self) -> list[str]:
        """What differs in words, a file each."""
        words = [f"`{path}` is missing" for path in self.missing]
        words += [f"`{path}` has {found} B, not {size} B" for path, size, found in self.resized]
        return words + [f"`{path}` is new" for path in self.added]


def compare(expected: Sequence[File], found: Sequence[File]) -> FileChanges:
    """Return how files differ from those that were expected."""
    old, new = dict(expected), dict(found)
    return FileChanges(
        tuple(path for path in old if path not in new),
        tuple(
            Resized(path, size, new[path])
            for path, size in old.items()
            if path in new and new[path] != size
        ),
        tuple(path for path in new if path not in old),
    )


def without_nested(paths: Sequence[str], listed: Sequence[File]) -> tuple[str, ...]:
    """Return paths without those in other outputs: an author may have one built inside another.

    Args:
        paths: inside a folder.
        listed: all files of that folder.

    """
    end = f"/{layout.STATUS}"
    others = tuple(f.path.removesuffix(layout.STATUS) for f in listed if f.path.endswith(end))
    return tuple(path for path in paths if not path.startswith(others)) if others else tuple(paths)


@dataclass(frozen=True, slots=True)
class Existing:
    """What lies at a place.

    Args:
        place: an absolute path or a URL.
        files: its data, without dot files.
        has_artifact: whether a value lies beside it that a step returned.
        status, lease: what another executor, or a run of ours, left there.
        record: what that of marin-build says; None if there is none that is readable.
        manifest: the files that the record's attempt committed; None if that is not known.

    """

    place: str
    files: tuple[File, ...]
    has_artifact: bool
    status: Status | None
    lease: Lease | None
    record: Built | None
    manifest: tuple[File, ...] | None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def seconds(self) -> float:
        """How long it took to build, if its record says so; else 0."""
        return self.record.seconds if self.record is not None else 0.0


def read_manifest(store: Store, output: str, attempt: int) -> tuple[File, ...] | None:
    """Return the files that an attempt committed, sorted; None if there is no such attempt.

    Raises:
        CorruptStateError: its document is not readable.

    """
    if attempt < 1:
        return None
    path = layout.attempt_path(output, attempt)
    blob = store.get(path)
    if blob is not None:
        committed = parse_attempt(blob.data, path).committed
    else:
        record = store.get(f"{output}/{layout.RECORD}")
        committed = recorded(record.data if record is not None else None)
    return committed.manifest if committed is not None else None


def differences(expected: Sequence[File], found: Sequence[File]) -> list[str]:
    """Return what differs between two lists of files, in words, a file each."""
    return compare(expected, found).words


def shortened(words: Sequence[str]) -> list[str]:
    """Return the first of many words, and how many more there are."""
    more = len(words) - SHOWN_MISSING
    return [*words[:SHOWN_MISSING], *([f"and {more} more"] if more > 0 else [])]


SHOWN_MISSING = 5


def manifest_of(store: Store, output: str) -> list[File]:
    """Return path and size of the files of an output, sorted, without our own dot files."""
    return [file for file in store.files(output) if not file.path.startswith(".")]


def own_files_of(store: Store, output: str) -> tuple[File, ...]:
    """Return the same without the files of other outputs that lie inside it."""
    listed = manifest_of(store, output)
    own = set(without_nested([file.path for file in listed], listed))
    return tuple(file for file in listed if file.path in own)


def missing_output(
    declared: Sequence[str] | None, files: Sequence[File], artifact: object
) -> str | None:
    """Return what the step should have left and did not, in words; None if all is there."""
    if declared is None:
        if files or artifact is not None:
            return None
        return "the step left neither a file nor an artifact; declare `outputs=()` if that is right"
    there = {file.path for file in files if file.size}
    missing = [
        path
        for path in (declared_path.rstrip("/") for declared_path in declared)
        if path not in there and not any(file.path.startswith(f"{path}/") for file in files)
    ]
    if not missing:
        return None
    shown = ", ".join(f"`{path}`" for path in missing[:SHOWN_MISSING])
    more = f" and {len(missing) - SHOWN_MISSING} more" if len(missing) > SHOWN_MISSING else ""
    return f"declared outputs are missing or empty: {shown}{more}"
