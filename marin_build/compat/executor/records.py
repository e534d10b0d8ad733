"""What Marin's data browser reads: a document beside each output, and one for each run."""

from __future__ import annotations

import copy
import json
import os
import sys
import urllib.parse
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from marin_build.compat.executor.json_encoder import CustomJsonEncoder
from marin_build.identity.payload import executor_digits
from marin_build.protocol import layout
from marin_build.protocol.provenance import git_answer
from marin_build.runtime.remote import RemoteCallable
from marin_build.store.open_store import open_store
from marin_build.text.secret_shapes import masked_item
from marin_build.workspace.workspace import absolute_prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.compat.executor.values import ExecutorStep
    from marin_build.compat.executor.version import Versions


@dataclass(frozen=True)
class ExecutorStepInfo:
    """What is written of a step. `config` is the one its function gets."""

    name: str
    fn_name: str
    config: Any
    description: str | None
    override_output_path: str | None
    version: dict[str, Any]
    dependencies: list[str]
    output_path: str


@dataclass(frozen=True)
class ExecutorInfo:
    """What is written of a run."""

    worker_id: str
    git_commit: str | None
    caller_path: str
    created_date: str
    user: str | None
    prefix: str
    description: str | None
    steps: list[ExecutorStepInfo]


def step_info(known: Versions, step: ExecutorStep[Any], config: Any = None) -> ExecutorStepInfo:
    """Return what is written of a step.

    Args:
        known: versions and output paths.
        step: the step.
        config: the one its function gets.

    """
    override = step.override_output_path
    return ExecutorStepInfo(
        step.name,
        function_name(step.fn),
        config,
        step.description,
        os.fspath(override) if override is not None else None,
        known.versions[step],
        [known.output_paths[dep] for dep in known.dependencies[step]],
        known.output_paths[step],
    )


def function_name(fn: object) -> str:
    """Return how Marin writes what builds a step."""
    if fn is None:
        return "None"
    if isinstance(fn, RemoteCallable):
        return str(getattr(fn.fn, "__name__", fn.fn))
    return str(fn)


def asdict_without_description(info: Any) -> dict[str, Any]:
    """Return a dataclass as dicts, without its `description`; those of inner ones stay."""
    made: dict[str, Any] = plain(info)
    made.pop("description", None)
    return made


def plain(value: Any, name: str = "") -> Any:
    """Return dataclasses as dicts, in containers, too; without what looks like a secret.

    Args:
        value: any value.
        name: what the value is called.

    """
    match value:
        case _ if is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in fields(value)]
            return {each: plain(getattr(value, each), each) for each in names}
        case tuple() if hasattr(value, "_fields"):
            return type(value)(*map(plain, value, value._fields))
        case list() | tuple():
            return type(value)(plain(item, name) for item in value)
        case dict():
            return {plain(key): plain(item, str(key)) for key, item in value.items()}
        case str():
            return masked_item(name, value)
    return copy.deepcopy(value)


def json_value(value: Any) -> Any:
    """Return a value as JSON has it in a document."""
    return json.loads(json.dumps(plain(value), cls=CustomJsonEncoder))


def info_text(info: Any) -> str:
    """Return a document as Marin writes it, with a line's end."""
    return json.dumps(info, indent=2, cls=CustomJsonEncoder) + "\n"


def run_document(info: ExecutorInfo) -> dict[str, Any]:
    """Return what is written of a run."""
    document = asdict_without_description(info)
    for step in document["steps"]:
        step.pop("description", None)
    return document


def run_path(base: str, document: Mapping[str, Any]) -> str:
    """Return where the document of a run lies.

    Args:
        base: the folder of all runs.
        document: what is written of it; its name is that of the caller's file, with digits of what
            it says of the steps.

    """
    text = json.dumps(document["steps"], sort_keys=True, cls=CustomJsonEncoder)
    name = os.path.basename(document["caller_path"]).replace(".py", "")
    return os.path.join(base, f"{name}-{executor_digits(text)}.json")


def info_path(output_path: str) -> str:
    """Return where the document of a step lies."""
    return os.path.join(output_path, layout.RECORD)


def write_step_info(info: ExecutorStepInfo, output_path: str) -> None:
    """Write the document of a step into its output.

    Raises:
        StoreError: it cannot be written.

    """
    write_text(info_path(output_path), info_text(asdict_without_description(info)))


def write_text(path: str, text: str) -> None:
    """Write a document, in a local folder or a bucket.

    Raises:
        StoreError: it cannot be written.

    """
    place = absolute_prefix(path, os.getcwd())
    open_store(place).put(place, text.encode())


def git_commit() -> str | None:
    """Return the commit of the current folder, if that is the root of a repository."""
    return git_answer(os.curdir, "rev-parse", "HEAD") if os.path.exists(".git") else None


def caller_path() -> str:
    """Return the outermost file that is being run."""
    frame, found = sys._getframe(1), sys.argv[0]  # noqa: SLF001 - inspect.stack reads all sources
    while frame is not None:
        if not frame.f_code.co_filename.startswith("<"):
            found = frame.f_code.co_filename
        frame = frame.f_back  # type: ignore[assignment]
    return found


def experiment_url(prefix: str, path: str) -> str:
    """Return where Marin's data browser shows a run."""
    is_shared = prefix.startswith("gs://")
    host = "https://marin.community/data-browser" if is_shared else "http://localhost:5000"
    return f"{host}/experiment?path={urllib.parse.quote(path)}"
