"""Names for analyses of checkpoints: `llama-730000` of `checkpoints/llama/.../step-730000`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from marin_build.compat.executor.errors import IllegalValueError
from marin_build.compat.executor.values import InputName

if TYPE_CHECKING:
    from collections.abc import Sequence

_OF_A_HUB = re.compile(r"[^/]+/[^/]+")
_STEP = re.compile(r"step-(\d+)")
_IN_TRAINING = re.compile(r"(?:^|/)checkpoints/[^/]+/checkpoints(?:$|/)")


def ckpt_path_to_step_name(path: Any) -> str:
    """Return a name for what is made of a checkpoint.

    Args:
        path: `organisation/model` of a hub, a path that may end in `RUN/checkpoints/step-N`, or an
            InputName of such a place in the output of a step, whose name is taken.

    Returns:
        The model, `RUN-N`, or the last part of another path.

    Raises:
        ValueError: it is none of these, or names the checkpoints of a training without a step.

    """
    if isinstance(path, InputName):
        return _of_place(path)
    if not isinstance(path, str):
        raise IllegalValueError(f"Unknown type for path: {type(path).__name__}")
    if _OF_A_HUB.fullmatch(path):
        return path.rpartition("/")[2]
    parts = path.removesuffix("/").split("/")
    if parts[-1].startswith("step-"):
        return f"{parts[-3]}-{_step(parts[-1], path)}"
    if _IN_TRAINING.search(path.removesuffix("/")):
        raise _no_step(path)
    return parts[-1]


def _of_place(place: InputName) -> str:
    assert place.step is not None
    run = place.step.name.rpartition("/")[2]
    if not place.name:
        return run
    parts: Sequence[str] = place.name.removesuffix("/").split("/")
    if parts[-1].startswith("step-"):
        return f"{run}-{_step(parts[-1], place.name)}"
    if parts[-2:-1] == ["checkpoints"]:
        raise _no_step(place.name)
    return parts[-1]


def _step(part: str, path: str) -> str:
    found = _STEP.fullmatch(part)
    if found is None:
        raise _no_step(path)
    return found[1]


def _no_step(path: str) -> IllegalValueError:
    return IllegalValueError(
        f"Invalid path: `{path}` names the checkpoints of a training",
        hint="name one of them: `.../checkpoints/step-730000`",
    )
