"""Which store a prefix opens, file systems without conditions, and what goes wrong in words."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import fsspec
import pytest
from botocore.exceptions import (
    CredentialRetrievalError,
    NoCredentialsError,
    UnauthorizedSSOTokenError,
)
from fsspec.asyn import get_loop
from gcsfs.retry import HttpError
from google.auth import exceptions as google_errors

from marin_build.errors import StoreAwayError, StoreDeniedError, StoreError
from marin_build.store.azure import AzureStore
from marin_build.store.base import Blob, File
from marin_build.store.fsspec import FsspecStore
from marin_build.store.gcs import GcsStore
from marin_build.store.hurry import hurry
from marin_build.store.local import LocalStore
from marin_build.store.open_store import open_store
from marin_build.store.remote import RemoteStore
from marin_build.store.remote_errors import remote_error
from marin_build.store.routing import RoutingStore
from marin_build.store.s3 import S3Store
from marin_build.store.without_conditions import UnfencedStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DefaultCredentialsError: Any = google_errors.DefaultCredentialsError
RefreshError: Any = google_errors.RefreshError


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's file system in memory, empty."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield fs
    fs.store.clear()


@pytest.mark.parametrize(
    ("prefix", "kind"),
    [
        ("/data/out", LocalStore),
        ("gs://b/out", GcsStore),
        ("gcs://b/out", GcsStore),
        ("s3://b/out", S3Store),
        ("s3a://b/out", S3Store),
        ("az://c/out", AzureStore),
        ("abfs://c/out", AzureStore),
        ("abfss://c@account.dfs.core.windows.net/out", AzureStore),
        ("memory://b/out", FsspecStore),
    ],
)
def test_the_prefix_says_which_store_holds_it(prefix: str, kind: type) -> None:
    store = open_store(prefix)
    assert isinstance(store, kind)
    assert store.is_local == (kind is LocalStore)
    assert store.conditional == (kind is not FsspecStore)


@pytest.mark.parametrize(
    ("prefix", "package", "hint"),
    [
        ("s3://b/out", "s3fs", "pip install 'marin-build[s3]'"),
        ("abfss://b/out", "adlfs", "pip install 'marin-build[azure]'"),
    ],
)
def test_a_missing_extra_is_named(
    prefix: str, package: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marin_build.store.open_store.find_spec", lambda _: None)
    with pytest.raises(StoreError) as caught:
        open_store(prefix)
    assert caught.value.render() == (
        f"error: cannot open the prefix `{prefix}`: {package} is not installed\n"
        "  nothing was run\n"
        f"hint: {hint}"
    )


@pytest.mark.parametrize("prefix", ["nope://b", "hdfs://b"])
def test_an_unknown_scheme_is_refused(prefix: str) -> None:
    with pytest.raises(StoreError, match=f"cannot open the prefix `{prefix}`"):
        open_store(prefix)


def test_a_file_url_is_a_folder_in_disguise() -> None:
    with pytest.raises(StoreError) as caught:
        open_store("file:///data/out")
    assert caught.value.hint == "write the folder without `file://`"


def test_any_file_system_of_fsspec_holds_data(memory: Any) -> None:
    store = open_store("memory://b")
    version = store.put("memory://b/x/a", b"one")
    store.put("memory://b/x/c/d", b"two")
    one = Blob(b"one", version)
    assert store.get("memory://b/x/a") == one
    assert store.get_many(["memory://b/x/a", "memory://b/x/b", "memory://b/x/a"]) == [
        one,
        None,
        one,
    ]
    assert store.get_many([]) == []
    assert store.get("memory://b/none") is None
    assert store.list("memory://b/x") == ["a"]
    assert store.files("memory://b/x") == [File("a", 3), File("c/d", 3)]
    assert store.list("memory://b/none") == []
    assert store.files("memory://b/none") == []
    store.delete(["memory://b/x/a", "memory://b/x/none"])
    assert store.files("memory://b/x") == [File("c/d", 3)]


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.put_if_absent("memory://b/x", b""),
        lambda store: store.replace_if("memory://b/x", b"", "v"),
        lambda store: store.delete_if("memory://b/x", "v"),
    ],
)
def test_no_lease_is_pretended_where_writes_have_no_conditions(memory: Any, call: Any) -> None:
    store = open_store("memory://b")
    assert not store.conditional
    with pytest.raises(StoreError) as caught:
        call(store)
    assert caught.value.what == (
        "cannot take a lease at `memory://b/x`: leases need conditional writes, "
        "and `memory://` has none"
    )
    assert "--no-lease" in str(caught.value.hint)


def test_what_a_file_system_refuses_names_the_path(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("not yours")

    store = open_store("memory://b")
    for name in ("pipe_file", "cat_file", "ls", "find", "rm_file"):
        monkeypatch.setattr(type(memory), name, refuse)
    path = "memory://b/x"
    calls: dict[str, Callable[[], object]] = {
        "write": lambda: store.put(path, b""),
        "read": lambda: store.get(path),
        "list": lambda: store.list(path),
        "delete": lambda: store.delete([path]),
    }
    for verb, call in calls.items():
        with pytest.raises(StoreError, match=f"cannot {verb} `{path}`: permission denied"):
            call()


class _AzureError(Exception):
    status_code = 403


class _AwsError(Exception):
    """An error of botocore: with the code of an answer, or what botocore makes of none."""

    def __init__(self, status: int = 403, code: str = "AccessDenied") -> None:
        super().__init__(f"An error occurred ({code})")
        metadata = {"HTTPStatusCode": status}
        self.response = {"Error": {"Code": code}, "ResponseMetadata": metadata}


def _named(name: str, base: type[Exception] = Exception, **fields: object) -> Exception:
    """Return an error of a class that is only known by its name."""
    error: Exception = type(name, (base,), fields)("no")
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError("Forbidden: https://storage/b/o/a\nyou lack storage.objects.get"),
        _AzureError("no"),
        _AwsError(),
        _AwsError(400, "ExpiredToken"),
        _AwsError(401, "401"),
        _AwsError(403, "403"),
        PermissionError("no"),
        HttpError({"code": 401, "message": "Invalid Credentials"}),
        RefreshError("invalid_grant", retryable=False),
        DefaultCredentialsError("no"),
        NoCredentialsError(),
        CredentialRetrievalError(provider="x", error_msg="no"),
        UnauthorizedSSOTokenError(),
        _named("CredentialUnavailableError", type(_named("ClientAuthenticationError"))),
    ],
)
def test_a_refusal_says_how_to_log_in(error: Exception) -> None:
    """Else what a step has done is thrown away as soon as a token ends."""
    said = remote_error("read", "gs://b/a", error, login="log in")
    assert isinstance(said, StoreDeniedError)
    assert said.what == "cannot read `gs://b/a`: permission denied"
    assert said.hint == "log in"
    assert "https" not in said.facts[0][1]


@pytest.mark.parametrize(
    ("status", "may_pass"),
    [(None, True), (400, False), (401, True), (403, True), (404, False), (408, True),
     (412, False), (429, True), (500, True), (503, True)],
)  # fmt: skip
def test_what_another_try_may_find_better_is_told(status: int | None, may_pass: bool) -> None:
    """Else an outage fails a step for good, or a typing error in a bucket's name is tried again."""
    error = RuntimeError("no")
    if status is not None:
        error.status_code = status  # type: ignore[attr-defined]
    assert isinstance(remote_error("read", "gs://b/a", error), StoreAwayError) == may_pass


@pytest.mark.parametrize(
    "error",
    [
        _AwsError(404, "404"),  # the body was cut, or no XML at all
        _AwsError(400, "400"),
        _AwsError(503, "SlowDown"),
        RefreshError("the metadata server is away", retryable=True),
        _named("ResponseParserError"),
        _named("ClientPayloadError"),
        ValueError("no JSON"),
        ConnectionError("reset"),
    ],
)
def test_an_answer_that_cannot_be_read_is_no_answer(error: Exception) -> None:
    """Else one broken answer ends a run of days, or says that a bucket is not there."""
    said = remote_error("write", "s3://b/a", error)
    assert type(said) is StoreAwayError
    assert said.with_reason.startswith("cannot write `s3://b/a`: ")


@pytest.mark.parametrize(
    "error", [_AwsError(404, "NoSuchBucket"), FileNotFoundError("b"), _AwsError(400, "Malformed")]
)
def test_what_no_other_try_changes_is_no_outage(error: Exception) -> None:
    """Else a typing error in the name of a bucket is waited for."""
    assert type(remote_error("write", "s3://b/a", error)) is StoreError


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("GET https://x.net/c/b?sig=abc%2B&se=9 failed", "GET https://x.net/c/b?... failed"),
        ("bad AccountKey=abcd==;EndpointSuffix=x", "bad AccountKey=...;EndpointSuffix=x"),
        ("Authorization: Bearer ya29.secret refused", "Authorization: ... refused"),
        ("first\nsecond", "first"),
        ("", "RuntimeError"),
        ("x" * 500, "x" * 197 + "..."),
    ],
)
def test_a_reason_is_short_and_has_no_secret(text: str, reason: str) -> None:
    said = remote_error("read", "gs://b/a", RuntimeError(text))
    assert said.facts == (("reason", reason),)


def test_nobody_pays_for_a_store_before_it_is_used() -> None:
    import subprocess

    program = (
        "import sys; from marin_build.store.open_store import open_store; open_store('gs://b');"
        "open_store('s3://b'); open_store('az://b'); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    slow = {"fsspec", "gcsfs", "s3fs", "adlfs", "aiohttp", "botocore", "azure"}
    assert slow.isdisjoint(done.stdout.split())


class _BusyError(Exception):
    status_code = 429


class _BusyStore(AzureStore):
    """A store that is busy for so many requests."""

    def __init__(self, busy: int) -> None:
        super().__init__("az://c")
        self.busy, self.asked = busy, 0

    def _open(self) -> Any:
        return SimpleNamespace(loop=get_loop())

    async def _get(self, fs: Any, path: str) -> Blob | None:
        self.asked += 1
        if self.asked <= self.busy:
            raise _BusyError("busy")
        return Blob(b"x", "1")


@pytest.mark.parametrize(("busy", "asked"), [(0, 1), (2, 3), (99, 4)])
def test_a_busy_store_is_asked_again(
    busy: int, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marin_build.store.remote.FURTHER_TRIES", 3)
    monkeypatch.setattr("marin_build.store.remote.FIRST_PAUSE", 0.0)
    store = _BusyStore(busy)
    if busy > asked:
        with pytest.raises(StoreError, match="cannot read `az://c/a`"):
            store.get("az://c/a")
    else:
        assert store.get("az://c/a") == Blob(b"x", "1")
    assert store.asked == asked


class _GuardedStore(_BusyStore):
    """A store whose login ends, and which lets in who reads it anew."""

    opened = 0
    _forget_credentials = RemoteStore._forget_credentials

    def _open(self) -> Any:
        self.opened += 1
        return _FileSystem(self.opened)

    async def _get(self, fs: Any, path: str) -> Blob | None:
        if fs.number == 1:
            raise PermissionError("your token has ended")
        return Blob(b"x", "1")


class _FileSystem:
    cleared = 0

    def __init__(self, number: int) -> None:
        self.number, self.loop = number, get_loop()

    @classmethod
    def clear_instance_cache(cls) -> None:
        cls.cleared += 1


def test_a_login_that_has_ended_is_read_again() -> None:
    """Else a run whose user has logged in again still may not write what it built."""
    store = _GuardedStore(0)
    with pytest.raises(StoreDeniedError):
        store.get("az://c/a")
    assert store.get("az://c/a") == Blob(b"x", "1")
    assert (store.opened, _FileSystem.cleared) == (2, 1)


class _HangingStore(_BusyStore):
    """A store that never answers."""

    async def _get(self, fs: Any, path: str) -> Blob | None:
        self.asked += 1
        await asyncio.Event().wait()
        return None


def test_what_hangs_is_given_up_when_the_run_is_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else Ctrl-C takes two minutes."""
    monkeypatch.setattr("marin_build.store.hurry.A_MOMENT", 0.0)
    store = RoutingStore(["az://c"], lambda _: _HangingStore(0))
    hurry(UnfencedStore(store))
    for _ in range(3):
        with pytest.raises(StoreAwayError) as caught:
            store.get("az://c/a")
        assert "the run is to end" in caught.value.with_reason
    (inner,) = store._stores.values()
    assert inner.asked <= 1, "after the first one nothing is asked any more"  # type: ignore[attr-defined]


class _Breaking:
    """A client of S3 whose bodies break off so many times."""

    def __init__(self, broken: int) -> None:
        self.broken, self.asked = broken, 0

    async def get_object(self, **wanted: str) -> dict[str, Any]:
        self.asked += 1
        return {"Body": self, "ETag": "1"}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self) -> bytes:
        if self.asked <= self.broken:
            raise ConnectionError("the body broke off")
        return b"abc"


class _BreakingStore(S3Store):
    def __init__(self, broken: int) -> None:
        super().__init__()
        self.client = _Breaking(broken)

    def _open(self) -> Any:
        async def set_session() -> _Breaking:
            return self.client

        return SimpleNamespace(loop=get_loop(), set_session=set_session)


@pytest.mark.parametrize("broken", [0, 1, 5, 6])
def test_a_body_that_breaks_off_is_read_again(broken: int) -> None:
    """Else one of the many thousand pieces of a large input ends the plan that digests it."""
    documents, pieces = _BreakingStore(broken), _BreakingStore(broken)
    if broken == 6:  # as often as the library asks
        with pytest.raises(StoreError, match="cannot read `s3://b/o`"):
            pieces.piece("s3://b/o", "1", 0, 3)
        return
    assert documents.get("s3://b/o") == Blob(b"abc", "1")
    assert pieces.piece("s3://b/o", "1", 0, 3) == b"abc"
    assert pieces.client.asked == documents.client.asked == broken + 1
