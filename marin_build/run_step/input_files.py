"""The outputs that a step reads: as their builds left them before it runs, and still so after it.

Names and sizes are compared with what the attempts committed. On local disks every step has its
own look, before and after. A remote output is listed once a run, for all that read it.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from marin_build.plan.outcomes import Stopped
from marin_build.protocol import layout
from marin_build.protocol.manifest import (
    compare,
    manifest_of,
    missing_output,
    read_manifest,
    shortened,
    without_nested,
)
from marin_build.protocol.record_reader import readable_record
from marin_build.protocol.status import STATUS_DELETING, STATUS_LET_GO, readable_status
from marin_build.protocol.tombstone_writes import take_all_away
from marin_build.store.base import GUARD, File
from marin_build.store.local_read import store_error
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.pipeline.targets import Targets
    from marin_build.protocol.manifest import FileChanges
    from marin_build.store.base import Store


_StatusFile = tuple[int, int, int, int]
"""The number of a file, its last write and its last change in ns, and its size: a status is never
written over, another file takes its place."""


_WITHOUT_DATA = (stat.S_IFIFO, stat.S_IFSOCK)


class Stamp(NamedTuple):
    """What tells that a local file was written: size in bytes, time in ns, and which file it is."""

    size: int
    modified: int
    inode: int


@dataclass(frozen=True, slots=True)
class Before:
    """The local outputs that a step reads, as they were before it ran: by target, by path."""

    stamps: Mapping[int, Mapping[str, Stamp]]


class Inputs:
    """What the steps of one run read of each other's outputs; called by several threads.

    Args:
        store: where the outputs live.
        targets: all targets of the pipeline.
        manifests: what outputs were left with that were compared when the plan was made; None for
            one of which that is not known.
        is_own_disk: whether the outputs below the prefix lie on a disk of this machine alone. On
            one that others share, a look at a file may show what it was a while ago.

    """

    def __init__(
        self,
        store: Store,
        targets: Targets,
        manifests: Mapping[int, tuple[File, ...] | None] | None = None,
        *,
        is_own_disk: bool = False,
    ) -> None:
        self._store = store
        self._targets = targets
        self._manifests = dict(manifests or {})
        self._compared = set(self._manifests)  # the remote ones of them are not listed again
        self._spoiled: dict[int, str] = {}
        self._is_own_disk, self._below = is_own_disk, f"{targets.workspace.prefix}/"
        self._there: dict[int, _StatusFile] = {}
        self._locks: dict[int, threading.Lock] = defaultdict(threading.Lock)

    def built(self, index: int, files: Sequence[File]) -> None:
        """Take note of what this run has built."""
        self._manifests[index] = tuple(files)
        self._compared.add(index)

    def look(self, index: int) -> Before | Stopped:
        """Look at what a target reads; return why it must not be built from that.

        Raises:
            StoreError: the store cannot be read.

        """
        if (deleted := self._deleted(index)) is not None:
            return deleted
        stamps: dict[int, Mapping[str, Stamp]] = {}
        for dep in self._targets.deps[index]:
            if (spoiled := self._spoiled.get(dep)) is not None:
                return Stopped(spoiled, hint=self._way_out(dep))
            place = self._place(dep)
            if is_url(place):
                with self._locks[dep]:
                    changes = self._remote_changes(dep)
            else:
                stamps[dep], is_marked = files_below(place)
                found = [File(path, stamp.size) for path, stamp in stamps[dep].items()]
                changes = self._changes(dep, sorted(found))
                if is_marked:
                    changes.append("another step has written into it")
            if changes:
                name = self._targets.all[dep].id
                said = ", ".join(shortened(changes))
                what = f"`{name}`, which it needs, is not as its build left it: {said}"
                return Stopped(what, hint=self._way_out(dep))
        return Before(stamps)

    def _deleted(self, index: int) -> Stopped | None:
        """Take the tombstones of what a target reads away; return which output is deleted already.

        The target is ours by now. `gc` looks for leases after it has put a tombstone, and before it
        deletes anything: so it sees our lease, or we see the tombstone.
        """
        files = {dep: self._status_file(dep) for dep in self._targets.deps[index]}
        deps = [dep for dep, file in files.items() if file is None or file != self._there.get(dep)]
        if not deps:
            return None
        outputs = [self._targets.all[dep].output_path for dep in deps]
        for dep, blob in zip(deps, take_all_away(self._store, outputs), strict=True):
            status = readable_status(blob.data if blob is not None else None, "")
            if status in (None, STATUS_DELETING, STATUS_LET_GO):
                what = f"`{self._targets.all[dep].id}`, which it needs, was deleted since the plan"
                return Stopped(f"{what} was made", hint="apply again: that builds it first")
            if (file := files[dep]) is not None:
                self._there[dep] = file  # if it was replaced meanwhile, it is another one now
        return None

    def _status_file(self, dep: int) -> _StatusFile | None:
        """Return which file holds the status of a target: most are read by many others.

        None if a look at the file does not tell, or nothing is there.
        """
        output = self._targets.all[dep].output_path
        if not self._is_own_disk or not output.startswith(self._below):
            return None
        try:
            found = os.lstat(f"{output}/{layout.STATUS}")
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size

    def changed(self, before: Before, reader: str) -> str:
        """Return which of the local files that a step reads were written since, in words.

        No other step is built from them any more, until they are built again.

        Args:
            before: what they were.
            reader: the step's target.

        Raises:
            StoreError: what names and sizes do not tell cannot be written down.

        """
        for dep, stamps in before.stamps.items():
            after, _ = files_below(self._place(dep))
            if after != stamps:
                words = _differences(stamps, after)
                name = self._targets.all[dep].id
                said = ", ".join(shortened(words))
                self._spoiled[dep] = f"`{name}` was changed after it was built: {said}"
                if same := [
                    p for p, s in after.items() if p in stamps and _is_hidden(stamps[p], s)
                ]:
                    self._mark(dep, reader, same)
                return f"in `{name}`, which it reads, {said}"
        return ""

    def _mark(self, dep: int, reader: str, paths: Sequence[str]) -> None:
        """Leave beside an output what names and sizes do not tell: files with other bytes."""
        output = self._targets.all[dep].output_path
        if self._place(dep) == output:
            said = ", ".join(shortened([f"`{path}`" for path in paths]))
            text = f"{said} was written while `{reader}` ran"
            self._store.put(f"{output}/{layout.CHANGED}", text.encode("utf-8", "replace"))

    def hint(self, index: int) -> str:
        """Return what to do about inputs of a failed target that are not as they were built.

        Raises:
            StoreError: the store cannot be read.

        """
        for dep in self._targets.deps[index]:
            changes = [self._spoiled[dep]] if dep in self._spoiled else []
            if not changes and dep in self._manifests and is_url(self._place(dep)):
                changes = self._changes(dep, manifest_of(self._store, self._place(dep)))
            if changes:
                return f"{changes[0]}; {self._way_out(dep)}"
        return ""

    def _place(self, dep: int) -> str:
        target = self._targets.all[dep]
        return self._targets.workspace.adopted.get(target.id, target.output_path)

    def _way_out(self, dep: int) -> str:
        name = self._targets.all[dep].id
        return f"marin-build plan says what becomes of `{name}`; a step writes into its output only"

    def _remote_changes(self, dep: int) -> list[str]:
        """Return what differs in a remote output, listed once."""
        place = self._place(dep)
        if dep in self._compared or place != self._targets.all[dep].output_path:
            return []  # what was adopted elsewhere was compared when the run began
        changes = self._changes(dep, manifest_of(self._store, place))
        if not changes:
            self._compared.add(dep)
        return changes

    def _changes(self, dep: int, found: Sequence[File]) -> list[str]:
        """Return how the files of an output differ from those that were committed, in words."""
        target = self._targets.all[dep]
        if self._place(dep) != target.output_path:
            return []
        if dep not in self._manifests:
            self._manifests[dep] = self._read_manifest(target.output_path)
        manifest = self._manifests[dep]
        if manifest is None:
            missing = missing_output(target.step.outputs, found, None)
            return [missing] if target.step.outputs and missing else []
        if (*found,) == manifest:
            return []
        changes: FileChanges = compare(_own(manifest), _own(found))
        if changes.added and target.step.override_output_path is not None:
            changes = replace(changes, added=())
        return changes.words

    def _read_manifest(self, output: str) -> tuple[File, ...] | None:
        blob = self._store.get(f"{output}/{layout.RECORD}")
        built = readable_record(blob.data if blob is not None else None)
        if built is None or built.adopted_from is not None:
            return None
        return read_manifest(self._store, output, built.attempt)


def _own(files: Sequence[File]) -> list[File]:
    """Return files without those of outputs inside, which are built and looked at by themselves."""
    kept = set(without_nested([file.path for file in files], files))
    return [file for file in files if file.path in kept]


def files_below(folder: str) -> tuple[dict[str, Stamp], bool]:
    """Return the files of a local output by path, without dot files of ours and other outputs.

    Returns:
        The files, and whether the mark lies beside them that another step has written into it.

    Raises:
        StoreError: a folder cannot be listed.

    """
    found: dict[str, Stamp] = {}
    is_marked = False
    pending = [""]
    while pending:  # without recursion: folders may be thousands deep
        inside = pending.pop()
        try:
            with os.scandir(f"{folder}/{inside}") as entries:
                listed = list(entries)
            if inside and any(entry.name == layout.STATUS for entry in listed):
                continue  # another output
            for entry in listed:
                name = entry.name
                if name[0] == "." and (not inside or name == GUARD):
                    is_marked = is_marked or (not inside and name == layout.CHANGED)
                elif entry.is_dir(follow_symlinks=False):
                    pending.append(f"{inside}{name}/")
                else:
                    found[inside + name] = _stamp(entry)
        except (FileNotFoundError, NotADirectoryError):  # its files are missing
            continue
        except OSError as error:
            raise store_error("list", f"{folder}/{inside}".rstrip("/"), error) from error
    return found, is_marked


def _stamp(entry: os.DirEntry[str]) -> Stamp:
    try:
        found = entry.stat()
    except FileNotFoundError:  # a link to nowhere
        return Stamp(0, 0, 0)
    is_data = stat.S_IFMT(found.st_mode) not in _WITHOUT_DATA
    return Stamp(found.st_size if is_data else 0, found.st_mtime_ns, found.st_ino)


def _is_hidden(before: Stamp, after: Stamp) -> bool:
    """Return whether a file was written, and its size does not tell."""
    return after != before and after.size == before.size


def _differences(before: Mapping[str, Stamp], after: Mapping[str, Stamp]) -> list[str]:
    """Return which files were written, moved or added, in words."""
    words = [
        f"`{path}` is gone" if path not in after else f"`{path}` was written"
        for path, stamp in before.items()
        if after.get(path) != stamp
    ]
    return words + [f"`{path}` is new" for path in after if path not in before]
