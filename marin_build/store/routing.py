"""One store out of several: each path goes to the store of its scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.store.hurry import hurry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.store.base import Blob, File, Store


class RoutingStore:
    """The stores of a pipeline whose steps have output paths of several schemes."""

    is_local = False

    def __init__(self, prefixes: Sequence[str], open_store: Callable[[str], Store]) -> None:
        self._stores = {_scheme(prefix): open_store(prefix) for prefix in prefixes}

    @property
    def conditional(self) -> bool:
        """Whether the conditional writes hold in all of them."""
        return all(store.conditional for store in self._stores.values())

    def hurry(self) -> None:
        """Wait for no request longer than a moment from now on; safe in a signal handler."""
        for store in self._stores.values():
            hurry(store)

    def get(self, path: str) -> Blob | None:
        """Return what is at `path`, or None."""
        return self._of(path).get(path)

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        """Return what is at each path: one batch a store."""
        found: dict[str, Blob | None] = {}
        for scheme, store in self._stores.items():
            ours = [path for path in paths if _scheme(path) == scheme]
            found.update(zip(ours, store.get_many(ours), strict=True))
        return [found[path] for path in paths]

    def put(self, path: str, data: bytes) -> str:
        """Write, whatever was there."""
        return self._of(path).put(path, data)

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        """Write if nothing is there."""
        return self._of(path).put_if_absent(path, data)

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        """Write if `version` is there."""
        return self._of(path).replace_if(path, data, version)

    def delete_if(self, path: str, version: str) -> bool:
        """Delete if `version` is there."""
        return self._of(path).delete_if(path, version)

    def files(self, folder: str) -> Sequence[File]:
        """Return every file below a folder."""
        return self._of(folder).files(folder)

    def folders(self, start: str) -> Sequence[str]:
        """Return the paths of the folders that begin with `start`."""
        return self._of(start).folders(start)

    def list(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        return self._of(folder).list(folder)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete what is at each path."""
        for scheme, store in self._stores.items():
            store.delete([path for path in paths if _scheme(path) == scheme])

    def _of(self, path: str) -> Store:
        return self._stores[_scheme(path)]


def _scheme(path: str) -> str:
    """Return the scheme of a URL; empty for a local path."""
    head, found, _ = path.partition("://")
    return head if found else ""


def schemes_of(prefix: str, paths: Sequence[str]) -> list[str]:
    """Return one path of each scheme among a prefix and the paths outside it."""
    return list({_scheme(path): path for path in (*paths, prefix)}.values())
