"""From a prefix to the store that holds it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from marin_build.errors import StoreError
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from marin_build.store.base import Store


def open_store(prefix: str) -> Store:
    """Return the store of a prefix; nothing is asked of it yet.

    Raises:
        StoreError: unknown scheme or missing extra.

    """
    if not is_url(prefix):
        from marin_build.store.local import LocalStore
        from marin_build.store.mounts import is_shared

        return LocalStore(is_shared=is_shared(prefix))
    match prefix.partition("://")[0]:
        case "gs" | "gcs":
            from marin_build.store.gcs import GcsStore

            return GcsStore()
        case "s3" | "s3a":
            require_package("s3fs", f"the prefix `{prefix}`", extra="s3")
            from marin_build.store.s3 import S3Store

            return S3Store()
        case "az" | "abfs" | "abfss":
            require_package("adlfs", f"the prefix `{prefix}`", extra="azure")
            from marin_build.store.azure import AzureStore

            return AzureStore(prefix)
        case "file" | "local" as scheme:
            raise StoreError(
                f"cannot open the prefix `{prefix}`",
                consequence="nothing was run",
                hint=f"write the folder without `{scheme}://`",
            )
        case _:
            from marin_build.store.fsspec import FsspecStore

            return FsspecStore(prefix)


def require_package(package: str, what: str, *, extra: str) -> None:
    """Refuse now, not at the first request, if an extra is not installed that `what` needs."""
    if find_spec(package) is None:
        raise StoreError(
            f"cannot open {what}: {package} is not installed",
            consequence="nothing was run",
            hint=f"pip install 'marin-build[{extra}]'",
        )
