"""Any file system fsspec knows, read and written without conditions.

Enough to plan over a remote prefix. Leases need conditional writes, which fsspec does not offer.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from marin_build.errors import StoreError
from marin_build.store.base import Blob

if TYPE_CHECKING:
    from collections.abc import Sequence


class FsspecStore:
    """A store behind fsspec; paths are URLs of one scheme."""

    conditional = False
    is_local = False

    def __init__(self, url: str) -> None:
        # gcsfs asks over gRPC for a bucket's layout at the first use; we need no such answer.
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        import fsspec

        scheme = url.partition("://")[0]
        try:
            self._fs: Any = fsspec.filesystem(scheme, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise StoreError(
                f"cannot open the prefix `{url}`: {error}",
                consequence="nothing was run",
                hint=_install_hint(scheme),
            ) from error

    def get(self, path: str) -> Blob | None:
        """Return what is at `path`, or None."""
        (data,) = self.get_many([path])
        return None if data is None else Blob(data, hashlib.sha256(data).hexdigest())

    def get_many(self, paths: Sequence[str]) -> list[bytes | None]:
        """Return the bytes at each path, read in one concurrent batch."""
        if not paths:
            return []
        try:
            found = self._fs.cat(list(paths), on_error="return")
        except Exception as error:
            raise self._error("read", paths[0], error) from error
        results: list[bytes | None] = []
        for path in paths:
            data = found.get(self._fs._strip_protocol(path))  # noqa: SLF001 - the keys cat answers with
            if isinstance(data, Exception) and not isinstance(data, FileNotFoundError):
                raise self._error("read", path, data) from data
            results.append(data if isinstance(data, bytes) else None)
        return results

    def put(self, path: str, data: bytes) -> str:
        """Write, whatever was there."""
        try:
            self._fs.pipe_file(path, data)
        except Exception as error:
            raise self._error("write", path, error) from error
        return hashlib.sha256(data).hexdigest()

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        """Refuse: there is no conditional write."""
        raise self._unconditional(path, data)

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        """Refuse: there is no conditional write."""
        raise self._unconditional(path, data, version)

    def delete_if(self, path: str, version: str) -> bool:
        """Refuse: there is no conditional write."""
        raise self._unconditional(path, version)

    def list(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        try:
            return sorted(
                name.rstrip("/").rpartition("/")[2] for name in self._fs.ls(folder, detail=False)
            )
        except FileNotFoundError:
            return []
        except Exception as error:
            raise self._error("list", folder, error) from error

    def _unconditional(self, path: str, *_: object) -> StoreError:
        return StoreError(
            f"cannot take a lease at `{path}`: this store has no conditional writes yet",
            consequence="nothing was run",
            hint="build under a local prefix, or emit the plan for an engine with `plan -o`",
        )

    def _error(self, verb: str, path: str, error: Exception) -> StoreError:
        return StoreError(f"cannot {verb} `{path}`", facts=[("reason", f"{error}")])


def _install_hint(scheme: str) -> str | None:
    extra = {"s3": "s3", "abfs": "azure", "abfss": "azure", "az": "azure"}.get(scheme)
    return f"pip install 'marin-build[{extra}]'" if extra else None
