"""Words that a shell may complete: engines, and what the pipeline and the settings here name."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError
from marin_build.operations.loading.find_pipeline import pipeline_file
from marin_build.operations.loading.options import PipelineOptions
from marin_build.untrusted_json import array, parse_json, table, text
from marin_build.workspace.configuration import read_configuration
from marin_build.workspace.regular_files import read_regular
from marin_build.workspace.whole_files import write_whole
from marin_build.workspace.workspace import find_project

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATIENCE = 5.0
"""Seconds that a person who pressed Tab may wait for a pipeline to load."""
_FRESH = 300.0
"""Seconds for which names are believed while the pipeline's file is the same."""


def target_names(file: str | None) -> Sequence[str]:
    """Return the names of a pipeline's steps.

    The pipeline is loaded by another process, and the names are kept in the user's cache. If it
    does not load, or not soon, they are those of the last time.

    Args:
        file: the pipeline, as `-f` names it; None: the one that is configured.

    """
    try:
        module, _, _ = pipeline_file(PipelineOptions(file=file))
        status = os.stat(module.file)
    except (MarinBuildError, OSError):
        return ()
    stamp = f"{os.path.realpath(module.file)} {status.st_mtime_ns} {status.st_size}"
    kept = _cache_file(module.file)
    known, names = _read(kept)
    if known == stamp and not _is_old(kept):
        return names
    found = _listed(file)
    if found is None:
        return names
    _keep(kept, stamp, found)
    return found


def parameter_names(file: str | None) -> Sequence[str]:
    """Return the parameters of the function `pipeline`, or of the one that is named after a colon.

    The file is read and not run.
    """
    import ast

    try:
        module, _, _ = pipeline_file(PipelineOptions(file=file))
        tree = ast.parse(read_regular(module.file))
    except (MarinBuildError, OSError, ValueError, SyntaxError, RecursionError):
        return ()
    name = getattr(module, "function", None) or "pipeline"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            args = node.args
            return [arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    return ()


def profile_names() -> Sequence[str]:
    """Return the profiles of the configuration here."""
    try:
        _, configured = read_configuration(find_project(os.getcwd()))
    except MarinBuildError:
        return ()
    profiles = configured.get("profiles")
    return list(profiles) if isinstance(profiles, dict) else ()


def engine_names() -> Sequence[str]:
    """Return the engines that are installed, ours first."""
    from marin_build.engines.registry import registered_engines

    return [one.name for one in registered_engines()]


def _listed(file: str | None) -> Sequence[str] | None:
    """Return the names that the pipeline declares now; None if it does not load in time."""
    import subprocess

    from marin_build.operations.loading.list_targets import read_listing

    named = ["-f", file] if file is not None else []
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "marin_build", "list-targets", *named],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_PATIENCE,
            env={name: value for name, value in os.environ.items() if name != COMPLETING},
        )
        listing = read_listing(done.stdout.decode("utf-8", "backslashreplace"))
    except (OSError, subprocess.SubprocessError, StopIteration, ValueError):
        return None
    return [entry.name for entry in listing.entries]


COMPLETING = "_MARIN_BUILD_COMPLETE"
"""The variable by which click's scripts ask for completions."""


def _cache_file(pipeline: str) -> str:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    digest = hashlib.sha256(os.path.realpath(pipeline).encode("utf-8", "surrogateescape"))
    return os.path.join(home, "marin-build", "completion", f"{digest.hexdigest()[:16]}.json")


def _read(kept: str) -> tuple[str, Sequence[str]]:
    try:
        document = table(parse_json(read_regular(kept)))
        return text(document["stamp"]), [text(name) for name in array(document["names"])]
    except (OSError, ValueError, KeyError):
        return "", ()


def _is_old(kept: str) -> bool:
    try:
        return not 0 <= time.time() - os.stat(kept).st_mtime < _FRESH
    except OSError:
        return True


def _keep(kept: str, stamp: str, names: Sequence[str]) -> None:
    try:
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        write_whole(kept, json.dumps({"stamp": stamp, "names": list(names)}))
    except OSError:
        return  # the next Tab loads the pipeline again
