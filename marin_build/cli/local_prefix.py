"""A local prefix: whether it can be written, and what brings to disk what a run builds there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from marin_build.errors import StoreError
from marin_build.workspace import is_url

if TYPE_CHECKING:
    from marin_build.cli.loading import Loaded
    from marin_build.store.syncing import Syncing


def check_writable(prefix: str) -> None:
    """Refuse a local prefix that cannot be written.

    Raises:
        StoreError: it cannot.

    """
    if is_url(prefix):
        return  # the first write tells
    try:
        os.makedirs(prefix, exist_ok=True)
    except OSError as error:
        raise _unwritable(prefix, str(error.strerror)) from error
    if not os.access(prefix, os.W_OK | os.X_OK):
        raise _unwritable(prefix, "permission denied")


def _unwritable(prefix: str, why: str) -> StoreError:
    return StoreError(
        f"cannot write to the prefix `{prefix}`",
        facts=[("reason", why.lower())],
        consequence="nothing was run",
        hint="give another one with --prefix",
    )


def syncing_of(loaded: Loaded, run: str) -> Syncing | None:
    """Return what brings the outputs to disk while a run builds under a local prefix.

    Raises:
        StoreError: nothing can be written there.

    """
    if is_url(loaded.workspace.prefix):
        return None
    from marin_build.store.syncing import Syncing

    host = os.uname().nodename
    try:
        return Syncing(loaded.workspace.prefix, run, boot=loaded.host.boot, host=host)
    except OSError as error:
        raise _unwritable(loaded.workspace.prefix, str(error.strerror)) from error


def end_syncing(syncing: Syncing | None) -> None:
    """Bring the rest to disk; say so if the disk refuses."""
    if syncing is None:
        return
    try:
        syncing.close()
    except OSError as error:
        click.echo(
            f"warning: what was built may not be on disk: {str(error.strerror).lower()}; "
            "if this machine goes down now, it is built again",
            err=True,
        )
