"""A short name for a checkpoint, from its path: evaluations are called after what they measure."""

from __future__ import annotations

import re

from marin_build.compat.executor.values import InputName

_CHECKPOINTS = re.compile(r"(^|/)checkpoints/[^/]+/checkpoints(/|$)")
_STEP = re.compile(r"step-(\d+)")
_FOLDERS_ABOVE = 3
"""The run's name is the folder above `checkpoints/step-100`."""


def ckpt_path_to_step_name(path: str | InputName) -> str:
    """Return `RUN-100` for `checkpoints/RUN/checkpoints/step-100`, and `model` for `org/model`.

    Args:
        path: a checkpoint; or one of a step, whose name is that of the run.

    Raises:
        ValueError: it lies where checkpoints are and is none, or is no path at all.

    """
    match path:
        case str():
            return _of_path(path)
        case InputName():
            return _of_step(path)
    raise ValueError(f"Unknown type for path: {path}")


def _of_path(path: str) -> str:
    folders = path.removesuffix("/").split("/")
    last = folders[-1]
    is_model = path.count("/") == 1 and all(path.split("/"))
    if is_model or not last.startswith("step-"):
        if _CHECKPOINTS.search("/".join(folders)):
            raise ValueError(f"Invalid path: {path}")
        return last
    if len(folders) < _FOLDERS_ABOVE:
        raise ValueError(f"Invalid path: {path}")
    return f"{folders[-_FOLDERS_ABOVE]}-{_number(last, path)}"


def _of_step(path: InputName) -> str:
    name = path.step.name.rpartition("/")[2] if path.step is not None else ""
    if not path.name:
        return name
    folders = path.name.removesuffix("/").split("/")
    last = folders[-1]
    if last.startswith("step-"):
        return f"{name}-{_number(last, path.name)}"
    if folders[-2:-1] == ["checkpoints"]:
        raise ValueError(f"Invalid path: {path.name}")
    return last


def _number(folder: str, path: str) -> str:
    if (found := _STEP.fullmatch(folder)) is None:
        raise ValueError(f"Invalid path: {path}")
    return found.group(1)
