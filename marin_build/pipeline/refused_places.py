"""Output paths that no step may have: what is built there would lie among the user's other files.

A step owns its output folder: marin-build writes beside its data, and protects it. The root of a
disk, a project or a home folder are nobody's output; and what lies in the folders of ours is not
data.
"""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING

from marin_build.errors import SpecificationError
from marin_build.pipeline.declared_at import shown
from marin_build.workspace.own_folder import NAME
from marin_build.workspace.places import is_url
from marin_build.workspace.workspace import DEFAULT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.workspace.workspace import Workspace


_SCHEMES = {"gcs": "gs", "s3a": "s3", "abfss": "abfs"}
_OUTPUTS = DEFAULT_PREFIX.rpartition("/")[2]


def refused_places(
    outputs: Iterable[tuple[StepSpec, str]], workspace: Workspace
) -> Iterator[tuple[StepSpec, SpecificationError]]:
    """Yield each step whose output path is not its own to write to, and the error.

    Args:
        outputs: steps and their output paths.
        workspace: names the prefix and the project.

    """
    is_among_ours = lies_among_ours(workspace.prefix)
    for step, output in outputs:
        if not (is_among_ours or step.override_output_path or step.output_path_prefix):
            continue  # names and versions cannot lead out of the prefix, nor to folders of ours
        if (problem := place_problem(output, workspace.prefix, workspace.project)) is None:
            continue
        if step.override_output_path is not None:
            option = "override_output_path"
        else:
            option = "--prefix" if step.output_path_prefix is None else "output_path_prefix"
        yield (
            step,
            SpecificationError(
                f"no output can lie at `{output}`: {problem}",
                facts=[("step", step.name), ("declared", shown(step.declared, workspace.project))],
                consequence="nothing was run",
                hint=f"give `{option}` a folder that holds outputs and nothing else",
            ),
        )


def lies_among_ours(prefix: str) -> bool:
    """Return whether a prefix lies in a folder of ours, where any output may be refused."""
    return f"/{NAME}/" in f"{prefix}/" and not prefix.endswith(f"/{DEFAULT_PREFIX}")


def place_problem(output: str, prefix: str, project: str) -> str | None:
    """Return why no output may lie at a path, or None.

    Args:
        output: an absolute local path or a URL.
        prefix: where outputs live, the same.
        project: an absolute local folder.

    """
    if is_url(output):
        return _problem(_plain_url(output), _plain_url(prefix) if is_url(prefix) else None, {})
    local = None if is_url(prefix) else prefix
    around = {"the project folder": project, "your home folder": os.path.expanduser("~")}
    problem = _problem(os.path.normpath(output), local, around)
    if problem is not None or (real := os.path.realpath(output)) == output:
        return problem
    return _problem(
        real,
        os.path.realpath(local) if local is not None else None,
        {name: os.path.realpath(folder) for name, folder in around.items()},
    )


def _problem(output: str, prefix: str | None, around: dict[str, str]) -> str | None:
    """Return what is wrong with a path in its plain form."""
    if output == os.sep or output.startswith("//"):
        return "that is the root of the file system"
    if is_url(output) and not output.partition("://")[2].partition("/")[2]:
        return "that is a whole bucket"
    for name, folder in {**({"the prefix": prefix} if prefix else {}), **around}.items():
        if output == folder:
            return f"that is {name}"
        if _is_inside(folder, output):
            return f"it holds {name}, `{folder}`"
    _, found, last = f"{output}/".rpartition(f"/{NAME}/")
    first, _, rest = last.strip("/").partition("/")
    if prefix and _is_inside(output, prefix):  # which may be a folder in `.marin-build`
        is_ours = found and (not first or first in _OUR_FOLDERS)
        return _OURS if is_ours else _problem_inside(output[len(prefix.rstrip("/")) + 1 :])
    return _OURS if found and not (first == _OUTPUTS and rest) else None


_OUR_FOLDERS = frozenset(
    ["bundles", "cache", "code", "containers", "inputs", "runs", "slurm", "tainted", "unsynced"]
)
_OURS = f"marin-build keeps its own files in folders called `{NAME}`"


def _problem_inside(path: str) -> str | None:
    """Return what is wrong with a path inside the prefix."""
    for name in path.split("/"):
        if name == NAME:
            return _OURS
        if name.startswith("."):
            return f"inside the prefix, names with a dot in front are ours: `{name}`"
    return None


def _is_inside(path: str, folder: str) -> bool:
    return path.startswith(f"{folder.rstrip('/')}/")


def _plain_url(url: str) -> str:
    """Return a URL in the form in which two of them can be compared."""
    scheme, _, rest = url.partition("://")
    path = posixpath.normpath(f"/{rest}").lstrip("/")
    return f"{_SCHEMES.get(scheme, scheme)}://{path}"
