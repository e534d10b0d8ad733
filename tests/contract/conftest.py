"""The stores, each with a place of its own for every test; servers start once, when needed."""

from __future__ import annotations

import asyncio
import os
from itertools import count
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import pytest

from marin_build.store.azure import AzureStore
from marin_build.store.gcs import GcsStore
from marin_build.store.local import LocalStore
from marin_build.store.memory import MemoryStore
from marin_build.store.s3 import S3Store
from tests.servers.gcs import GcsServer
from tests.servers.kubernetes import KubernetesCluster, kubernetes_cluster
from tests.servers.kubernetes_nodes import Node, gpu_nodes, tpu_slice
from tests.servers.programs import azurite_server, find_azurite, moto_server

from .kubernetes_samples import TOPOLOGY, Clients, clients_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from marin_build.store.base import Store

REMOTE = ("gcs", "s3", "azure")
EVERY = ("local", "shared", "memory", *REMOTE)
BUCKET = "bucket"

_numbers = count(1)


class Place(NamedTuple):
    """A store, and a folder of it that no other test knows."""

    kind: str
    store: Store
    folder: str

    def path(self, name: str) -> str:
        """Return a path in the folder."""
        return f"{self.folder}/{name}"


@pytest.fixture(scope="session")
def _gcs() -> Iterator[GcsServer]:
    with GcsServer(BUCKET) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


@pytest.fixture
def gcs(_gcs: GcsServer) -> Iterator[GcsServer]:
    """The stand-in for Cloud Storage, well, and with no memory of earlier tests."""
    _gcs.forget()
    yield _gcs
    _gcs.forget()


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The URL of S3."""
    with moto_server() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        from fsspec.asyn import sync

        fs = S3Store()._open()

        async def create() -> None:
            await (await fs.set_session()).create_bucket(Bucket=BUCKET)

        sync(fs.loop, create)
        yield url


@pytest.fixture(scope="session")
def azure_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of Azure."""
    if find_azurite() is None:
        pytest.skip("no Azurite: `npm install --prefix .venv azurite`, or set AZURITE")
    with (
        azurite_server(tmp_path_factory.mktemp("azurite")) as connection,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)

        async def create() -> None:
            from azure.storage.blob.aio import BlobServiceClient

            async with BlobServiceClient.from_connection_string(connection) as client:
                await client.create_container(BUCKET)

        asyncio.run(create())
        yield connection


def _new_place(kind: str, request: pytest.FixtureRequest) -> Place:
    name = f"{next(_numbers)}-{uuid4().hex[:8]}"
    match kind:
        case "local" | "shared":
            folder: Path = request.getfixturevalue("tmp_path")
            return Place(kind, LocalStore(is_shared=kind == "shared"), str(folder / name))
        case "memory":
            return Place(kind, MemoryStore(), f"/{name}")
        case "gcs":
            request.getfixturevalue("gcs")
            return Place(kind, GcsStore(), f"gs://{BUCKET}/{name}")
        case "s3":
            request.getfixturevalue("s3_url")
            return Place(kind, S3Store(), f"s3://{BUCKET}/{name}")
        case _:
            request.getfixturevalue("azure_account")
            folder_url = f"az://{BUCKET}/{name}"
            return Place(kind, AzureStore(folder_url), folder_url)


@pytest.fixture(params=EVERY)
def place(request: pytest.FixtureRequest) -> Place:
    """A place in each store."""
    return _new_place(request.param, request)


@pytest.fixture(params=REMOTE)
def remote(request: pytest.FixtureRequest) -> Place:
    """A place in each store that is reached over a network."""
    return _new_place(request.param, request)


@pytest.fixture(params=("local", *REMOTE))
def lasting(request: pytest.FixtureRequest) -> Place:
    """A place in each store that outlives its process."""
    return _new_place(request.param, request)


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> Place:
    """A place in Cloud Storage."""
    return _new_place("gcs", request)


@pytest.fixture(scope="session")
def _kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesCluster]:
    pools = [
        tpu_slice(pool, 2, accelerator="tpu-v5p-slice", topology=TOPOLOGY)
        for pool in ("pool-a", "pool-b")
    ]
    nodes = [Node("n1"), Node("n2"), *gpu_nodes(), *pools[0], *pools[1]]
    with kubernetes_cluster(tmp_path_factory.mktemp("kubernetes"), nodes) as cluster:
        yield cluster


@pytest.fixture
def cluster(_kubernetes: KubernetesCluster) -> Iterator[KubernetesCluster]:
    """The stand-in for Kubernetes, well, and with no memory of earlier requests."""
    _kubernetes.heal()
    yield _kubernetes
    _kubernetes.heal()


@pytest.fixture
def api(cluster: KubernetesCluster) -> Clients:
    """The official client of the stand-in for Kubernetes."""
    return clients_of(cluster.kubeconfig)
