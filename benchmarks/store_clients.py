"""Clients of S3 and Azure side by side: the numbers of docs/adr/0007.

    pip install obstore && python -m benchmarks.store_clients

Against moto and Azurite on this machine: what is measured is the clients, not a network.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

from marin_build.store.azure import AzureStore
from marin_build.store.s3 import S3Store
from tests.servers.programs import AZURITE_ACCOUNT, AZURITE_KEY, azurite_server, moto_server

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS, BATCH, BATCHES, SIZE = 200, 200, 7, 300
BUCKET = "bucket"


class Client(Protocol):
    """What is measured: single requests, and one batch."""

    def put(self, name: str, data: bytes) -> Any: ...  # noqa: D102
    def get(self, name: str) -> Any: ...  # noqa: D102
    def swap(self, name: str, data: bytes, version: Any) -> Any: ...  # noqa: D102
    def get_many(self, names: list[str]) -> None: ...  # noqa: D102


class Ours:
    """A store of marin-build."""

    def __init__(self, store: S3Store | AzureStore, folder: str) -> None:
        self._store, self._folder = store, folder

    def put(self, name: str, data: bytes) -> Any:
        """Write."""
        return self._store.put(f"{self._folder}/{name}", data)

    def get(self, name: str) -> Any:
        """Read."""
        return self._store.get(f"{self._folder}/{name}")

    def swap(self, name: str, data: bytes, version: Any) -> Any:
        """Replace a version."""
        new = self._store.replace_if(f"{self._folder}/{name}", data, version)
        assert new is not None
        return new

    def get_many(self, names: list[str]) -> None:
        """Read a batch."""
        found = self._store.get_many([f"{self._folder}/{name}" for name in names])
        assert None not in found


class Obstore:
    """The same through obstore."""

    def __init__(self, store: Any) -> None:
        import obstore

        self._store, self._api = store, obstore

    def put(self, name: str, data: bytes) -> Any:
        """Write."""
        return self._api.put(self._store, name, data)

    def get(self, name: str) -> Any:
        """Read, with the version."""
        found = self._api.get(self._store, name)
        return bytes(found.bytes()), found.meta["e_tag"]

    def swap(self, name: str, data: bytes, version: Any) -> Any:
        """Replace a version."""
        return self._api.put(self._store, name, data, mode={"e_tag": version["e_tag"]})

    def get_many(self, names: list[str]) -> None:
        """Read a batch, 100 at a time as ours."""

        async def read() -> None:
            free = asyncio.Semaphore(100)

            async def one(name: str) -> bytes:
                async with free:
                    found = await self._api.get_async(self._store, name)
                    return bytes(await found.bytes_async())

            await asyncio.gather(*map(one, names))

        asyncio.run(read())


def measure(client: Client) -> dict[str, float]:
    """Return medians in milliseconds."""
    data = b"x" * SIZE
    names = [f"batch/{number}" for number in range(BATCH)]
    for name in names:
        client.put(name, data)
    client.get_many(names)
    version = client.put("swapped", data)

    def swap(number: int) -> None:
        nonlocal version
        version = client.swap("swapped", b"%d" % number, version)

    return {
        "get": _median(ROUNDS, lambda _: client.get(names[0])),
        "put": _median(ROUNDS, lambda number: client.put("single", b"%d" % number)),
        "compare and swap": _median(ROUNDS, swap),
        f"{BATCH} gets": _median(BATCHES, lambda _: client.get_many(names)),
    }


def _median(rounds: int, call: Callable[[int], Any]) -> float:
    taken = []
    for number in range(rounds):
        start = time.perf_counter()
        call(number)
        taken.append((time.perf_counter() - start) * 1000)
    return median(taken)


def import_time(module: str) -> float:
    """Return the milliseconds a new process needs for an import, over those for none."""

    def run(code: str) -> float:
        return _median(9, lambda _: subprocess.run([sys.executable, "-c", code], check=True))

    return run(f"import {module}") - run("pass")


def main() -> None:
    """Print the table."""
    from fsspec.asyn import sync
    from obstore.store import AzureStore as ObstoreAzure
    from obstore.store import S3Store as ObstoreS3

    with ExitStack() as stack:
        url = stack.enter_context(moto_server())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        connection = stack.enter_context(azurite_server(folder))
        os.environ.update(
            AWS_ENDPOINT_URL=url, AWS_DEFAULT_REGION="us-east-1", AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test", AZURE_STORAGE_CONNECTION_STRING=connection,
        )  # fmt: skip
        s3, azure = S3Store(), AzureStore(f"az://{BUCKET}")
        fs, blobs = s3._open(), azure._open()  # noqa: SLF001 - to make the buckets

        async def create() -> None:
            await (await fs.set_session()).create_bucket(Bucket=BUCKET)
            await blobs.service_client.create_container(BUCKET)

        sync(fs.loop, create)
        endpoint = connection.partition("BlobEndpoint=")[2].rstrip(";")
        clients: dict[str, Client] = {
            "moto, s3fs": Ours(s3, f"s3://{BUCKET}/ours"),
            "moto, obstore": Obstore(
                ObstoreS3(BUCKET, endpoint=url, client_options={"allow_http": True})
            ),
            "Azurite, adlfs": Ours(azure, f"az://{BUCKET}/ours"),
            "Azurite, obstore": Obstore(
                ObstoreAzure(
                    BUCKET, account_name=AZURITE_ACCOUNT, account_key=AZURITE_KEY,
                    endpoint=endpoint, client_options={"allow_http": True},
                )
            ),
        }  # fmt: skip
        for name, client in clients.items():
            for what, milliseconds in measure(client).items():
                print(f"{name:18} {what:18} {milliseconds:8.2f} ms")
    for module in ("s3fs", "adlfs", "gcsfs", "obstore"):
        print(f"{'import':18} {module:18} {import_time(module):8.0f} ms")


if __name__ == "__main__":
    main()
