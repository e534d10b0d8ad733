"""From the URL of an input to what reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.store.open_store import require_package

if TYPE_CHECKING:
    from marin_build.store.objects import ObjectReader


def open_reader(url: str) -> ObjectReader:
    """Return the reader of the scheme of a URL; nothing is asked of it yet.

    Raises:
        StoreError: the scheme is unknown, or its package is not installed.

    """
    match url.partition("://")[0]:
        case "gs" | "gcs":
            from marin_build.store.bucket_objects import BucketObjects
            from marin_build.store.gcs import GcsStore

            return BucketObjects(GcsStore())
        case "s3" | "s3a":
            require_package("s3fs", f"`{url}`", extra="s3")
            from marin_build.store.bucket_objects import BucketObjects
            from marin_build.store.s3 import S3Store

            return BucketObjects(S3Store())
        case "az" | "abfs" | "abfss":
            require_package("adlfs", f"`{url}`", extra="azure")
            from marin_build.store.azure import AzureStore
            from marin_build.store.bucket_objects import BucketObjects

            return BucketObjects(AzureStore(url))
        case "http" | "https":
            from marin_build.store.http_objects import HttpObjects

            return HttpObjects()
        case _:
            from marin_build.store.fsspec_objects import FsspecObjects

            return FsspecObjects(url)
