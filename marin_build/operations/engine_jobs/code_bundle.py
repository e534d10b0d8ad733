"""The bundle of a project's code: made here, put under the prefix, and unpacked by a job.

A bundle is a zip that is known by its sha-256 (workspace/code_zip.py). What is in it is said in
`bundle_files.py`. Identity never depends on it: a job finds the same targets in the same code.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.errors import StoppedError, StoreError, UsageError
from marin_build.pipeline.locate import sources_of
from marin_build.plan.document import BUNDLE_FILE
from marin_build.protocol.layout import bundle_name, bundles_folder
from marin_build.store.open_store import open_store
from marin_build.text.readable import printable
from marin_build.workspace.code_zip import Entry, unzip, zip_digest, zip_of
from marin_build.workspace.configuration import CONFIG_FILE, SHARED_FILE
from marin_build.workspace.places import is_url
from marin_build.workspace.workspace import (
    PREFIX_VARIABLE,
    absolute_prefix,
    installed_in,
    relative_to,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.pipeline.source import Source
    from marin_build.store.base import Store

_ALGORITHM = "sha256:"
_HEX = 64
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle in memory."""

    data: bytes

    @property
    def name(self) -> str:
        """What plans and command lines call it."""
        return _ALGORITHM + zip_digest(self.data)

    @property
    def as_text(self) -> str:
        """Its bytes as text that is written as these bytes, as a file of a plan directory is."""
        return self.data.decode("utf-8", "surrogateescape")


def make_bundle(loaded: Loaded, limit: int) -> Bundle:
    """Return the bundle of a project's files as they are now.

    Args:
        loaded: the pipeline, which must find all its local inputs in the bundle.
        limit: bytes that the files may have together.

    Raises:
        UsageError: a file cannot be in it, or must not; all together are too large; or the
            pipeline, or an input, is not among them.

    """
    from marin_build.operations.engine_jobs.bundle_files import entries_of

    workspace = loaded.workspace
    outputs = None if is_url(workspace.prefix) else workspace.prefix
    entries = entries_of(workspace.project, outputs, limit)
    _refuse_missing(loaded, entries)
    if not {CONFIG_FILE, SHARED_FILE} & {entry.path for entry in entries}:
        entries.append(Entry(CONFIG_FILE, b""))  # so that the project begins where it begins here
    return Bundle(zip_of(entries))


def read_bundle(folder: str, name: str) -> Bundle:
    """Return the bundle of a saved plan.

    Raises:
        StoppedError: it is not the one that the plan names, or cannot be read.

    """
    path = os.path.join(folder, BUNDLE_FILE)
    try:
        with open(path, "rb") as stream:
            bundle = Bundle(stream.read())
        reason = "it is another one"
    except OSError as error:
        bundle, reason = Bundle(b""), str(error.strerror).lower()
    if bundle.name != name:
        raise StoppedError(
            f"`{path}` is not the bundle of code that the plan names",
            facts=[("reason", reason)],
            consequence="nothing was submitted",
            hint="make the plan again",
        )
    return bundle


def send_bundle(store: Store, prefix: str, bundle: Bundle) -> bool:
    """Put a bundle under a prefix; return False if it was there already.

    Raises:
        StoreError: the store cannot be read or written.

    """
    folder, name = bundles_folder(prefix), bundle_name(bundle.name.removeprefix(_ALGORITHM))
    if name in store.list(folder):
        return False
    if store.conditional:
        return store.put_if_absent(f"{folder}/{name}", bundle.data) is not None
    store.put(f"{folder}/{name}", bundle.data)
    return True


@contextmanager
def unpacked(options: PipelineOptions, name: str) -> Iterator[PipelineOptions]:
    """Unpack a bundle into a folder of its own, which is the current one for a block.

    Args:
        options: the pipeline in the bundle, and the prefix that has the bundle.
        name: the bundle, `sha256:...`.

    Yields:
        The options that name the pipeline in that folder.

    Raises:
        UsageError: no prefix is given, or the name is not that of a bundle.
        StoppedError: the bundle is not there, or not what its name says.
        StoreError: the store cannot be read, or this machine's disk cannot be written.

    """
    start = os.getcwd()
    given = options.prefix or os.environ.get(PREFIX_VARIABLE)
    if not given:
        raise UsageError("a bundle is looked for under a prefix, and none is given: --prefix URL")
    prefix = absolute_prefix(given, start)
    data = _read(prefix, name)
    try:
        folder = os.path.realpath(tempfile.mkdtemp(prefix="marin-build-code-"))
    except OSError as error:
        raise _cannot_unpack(name, error) from error
    try:
        try:
            unzip(data, folder)
        except (OSError, ValueError) as error:
            raise _cannot_unpack(name, error) from error
        os.chdir(folder)
        with _before_other_copies(sources_of(folder)):
            yield replace(options, prefix=prefix, folder=folder)
    finally:
        os.chdir(start)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _before_other_copies(sources: str | None) -> Iterator[None]:
    """Put a folder of modules before others that lie in no environment, for a block.

    Where the project is installed as editable, its own `src` is among those: the modules of the
    bundle would else be found behind it. What is really installed keeps its place.
    """
    path = list(sys.path)
    if sources is not None:
        places = (i for i, folder in enumerate(path) if _is_in_no_environment(folder))
        sys.path.insert(next(places, len(path)), sources)
    try:
        yield
    finally:
        sys.path[:] = path


def _is_in_no_environment(folder: str) -> bool:
    if not os.path.isdir(folder) or installed_in(os.path.join(folder, "x")) is not None:
        return False
    roots = {os.path.realpath(root) + os.sep for root in (sys.prefix, sys.base_prefix)}
    return not f"{os.path.realpath(folder)}{os.sep}".startswith(tuple(roots))


def _read(prefix: str, name: str) -> bytes:
    digest = name.removeprefix(_ALGORITHM)
    if digest == name or len(digest) != _HEX or set(digest) - set("0123456789abcdef"):
        raise UsageError(f"`{printable(name)}` is not the name of a bundle: sha256:HEX")
    path = f"{bundles_folder(prefix)}/{bundle_name(digest)}"
    blob = open_store(prefix).get(path)
    if blob is None:
        raise StoppedError(
            "the bundle of code is not under the prefix",
            facts=[("looked for", path)],
            consequence="nothing was run",
            hint="`marin-build apply` puts it there, and `run-step --plan DIR --send-code` does",
        )
    if zip_digest(blob.data) != digest:
        raise StoppedError(
            "the bundle of code is not what its name says",
            facts=[("read", path)],
            consequence="nothing was run",
            hint="delete it, and run `marin-build apply` again",
        )
    return blob.data


def _cannot_unpack(name: str, error: OSError | ValueError) -> StoreError:
    reason = (isinstance(error, OSError) and error.strerror) or str(error)
    return StoreError(
        f"cannot unpack the bundle of code `{name}`",
        facts=[("reason", reason.lower())],
        consequence="nothing was run",
        hint="TMPDIR names the folder that it is unpacked in",
    )


def _refuse_missing(loaded: Loaded, entries: Collection[Entry]) -> None:
    """Refuse a bundle without what the pipeline needs to be loaded.

    Raises:
        UsageError: its file, or a file of an input in the project, is not there.

    """
    project = loaded.workspace.project
    there = {entry.path for entry in entries}
    links = {entry.path for entry in entries if entry.is_link}
    needed = dict.fromkeys(_inside([loaded.pipeline.module.file], project), "the pipeline")
    for target in loaded.targets.all:
        for source in target.step.inputs.values():
            for path in _inside(_files(source), project):
                needed.setdefault(path, f"an input of `{target.name}`")
    missing = [
        f"{printable(path)}: {what}"
        for path, what in needed.items()
        if path not in there and not links.intersection(_above(path))
    ]
    if missing:
        more = [f"and {len(missing) - _SHOWN} more"] if len(missing) > _SHOWN else []
        raise UsageError(
            "the bundle of the project's code would not hold all that the pipeline needs",
            facts=[("missing", "\n".join([*missing[:_SHOWN], *more]))],
            consequence="nothing was submitted",
            hint="let git track it, or keep data outside the project, under an absolute path",
        )


def _files(source: Source) -> list[str]:
    """Return the absolute paths of a local source's files; of too many, none."""
    from marin_build.pipeline.source_digests import content_of

    location = source.location
    if is_url(location):
        return []
    files = content_of(source).files or {}
    return [os.path.join(location, name) if name else location for name in files]


def _inside(paths: Iterable[str], project: str) -> list[str]:
    found = [relative_to(path, project) for path in paths if path]
    return [path for path in found if not os.path.isabs(path)]


def _above(path: str) -> Iterator[str]:
    while path := os.path.dirname(path):
        yield path
