"""Programs that tests use: servers, which end with the test process; a browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CHECKOUT = Path(__file__).parents[2]

AZURITE_ACCOUNT = "devstoreaccount1"
# The emulator's key: published, the same everywhere, and no secret.
AZURITE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


_TIED = ("setpriv", "--pdeathsig", "KILL")


def tied(argv: Sequence[str]) -> list[str]:
    """Return a command line whose process dies with the thread that starts it, even if killed."""
    return [*(_TIED if shutil.which(_TIED[0]) else ()), *argv]


def answer_of(argv: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return what a program prints, with some variables more than ours; empty if it fails."""
    done = subprocess.run(
        argv,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout if done.returncode == 0 else ""


@contextmanager
def moto_server() -> Iterator[str]:
    """Run moto; yield the URL of its S3."""
    argv = [sys.executable, "-m", "tests.servers.moto"]
    with _running(argv, re.compile(r"(http://\S+)"), CHECKOUT) as url:
        yield url


@contextmanager
def azurite_server(folder: Path) -> Iterator[str]:
    """Run Azurite in a folder; yield the connection string of its account."""
    program = find_azurite()
    assert program is not None
    argv = [
        program, "--blobPort", "0", "--inMemoryPersistence",
        "--skipApiVersionCheck", "--silent", "--disableTelemetry",
    ]  # fmt: skip
    with _running(argv, re.compile(r"listens on (http://\S+)"), folder) as url:
        yield (
            f"DefaultEndpointsProtocol=http;AccountName={AZURITE_ACCOUNT};AccountKey={AZURITE_KEY};"
            f"BlobEndpoint={url}/{AZURITE_ACCOUNT};"
        )


def find_npm_package(name: str) -> str | None:
    """Return the folder of a package that npm installed beside this Python; None: not here."""
    folder = Path(sys.prefix) / "node_modules" / name
    return str(folder) if folder.is_dir() else None


def find_azurite() -> str | None:
    """Return the program: AZURITE, that of the checkout's environment, or that of PATH."""
    if named := os.environ.get("AZURITE"):
        return named
    name = "azurite-blob"
    near = Path(sys.prefix) / "node_modules" / ".bin" / name
    return str(near) if near.exists() and shutil.which("node") else shutil.which(name)


def find_chromium() -> str | None:
    """Return the browser: CHROMIUM, or that of PATH."""
    if named := os.environ.get("CHROMIUM"):
        return named
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def _running(argv: Sequence[str], ready: re.Pattern[str], folder: Path) -> Iterator[str]:
    process = subprocess.Popen(
        tied(argv),
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process, process.stdout:
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if found := ready.search(line):
                    yield found[1]
                    return
            raise RuntimeError(f"{argv[0]} ended before it was ready: {''.join(said)}")
        finally:
            process.kill()
