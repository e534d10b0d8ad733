"""Moves an experiment of Marin to the words of marin-build, and proves that nothing is lost."""

from __future__ import annotations

import difflib
import json
import os
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.compat.migration.planned_steps import planned_steps
from marin_build.compat.migration.proof import Proof, compare_plans
from marin_build.compat.migration.rewrite import Wanted, rewrite
from marin_build.errors import MarinBuildError, NotFoundError, SpecificationError, UsageError
from marin_build.operations.loading.find_pipeline import pipeline_file
from marin_build.operations.loading.git_worktree import is_committed
from marin_build.operations.loading.other_process import running_elsewhere
from marin_build.workspace.regular_files import read_regular
from marin_build.workspace.whole_files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from marin_build.compat.migration.rewrite import Moved, Rewritten
    from marin_build.compat.migration.source_text import Left
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.pipeline.locate import PipelineModule


_ALL = "**"
_NOTHING = "nothing was written"


@dataclass(frozen=True, slots=True)
class Migration:
    """An experiment, its new form, and the proof that both are the same pipeline.

    Args:
        file: the experiment, as it was named.
        new_file: where the new form goes.
        difference: both texts, as a unified diff; empty: nothing could be moved.
        moved, left: what is in another form, and what is not and why.
        proof: how their plans compare; None: nothing could be moved.
        is_written: whether the new form was written.

    """

    file: str
    new_file: str
    difference: str
    moved: tuple[Moved, ...]
    left: tuple[Left, ...]
    proof: Proof | None
    is_written: bool = False

    @property
    def holds(self) -> bool:
        """Whether nothing would be built anew."""
        return self.proof is None or self.proof.holds


def migrate(
    options: PipelineOptions,
    *,
    write: bool = False,
    in_place: bool = False,
    only: Sequence[str] = (),
) -> Migration:
    """Return an experiment in the words of marin-build, as far as it is simple enough.

    Both files are planned, each in a process of its own. The new one is written only if all targets
    keep their output paths, their needs and their decisions.

    Args:
        options: name the experiment, its parameters and the prefix.
        write: write the new file beside the experiment: `NAME_native.py`.
        in_place: write it over the experiment.
        only: names of steps; no others are moved.

    Raises:
        UsageError: there is no such file, or what would be written over is not safe elsewhere.
        SpecificationError: the experiment cannot be loaded.
        StoreError: the store cannot be read.

    """
    module, _, _ = pipeline_file(options)
    if not module.is_there:
        raise NotFoundError(f"there is no file `{module.named_from(os.getcwd())}`")
    file = os.path.relpath(module.file)
    new_file = file if in_place else f"{file.removesuffix('.py')}_native.py"
    if write:
        _refuse_to_lose(new_file, in_place=in_place)
    before = read_regular(module.file).decode("utf-8")
    ending = "\r\n" if "\r\n" in before else "\n"
    text = before.replace("\r\n", "\n")
    planned = planned_steps(_plan_elsewhere(options, "as it is"))
    wanted = Wanted(planned, only)
    rewritten = rewrite(text, wanted)
    proof: Proof | None = None
    if rewritten.text != text:
        proof = _proof(module, rewritten, wanted, options)
        if proof.holds:
            pinned = rewrite(text, replace(wanted, pins=proof.fingerprints))
            if pinned.text != rewritten.text:
                rewritten, proof = pinned, _proof(module, pinned, wanted, options)
    is_written = write and proof is not None and proof.holds
    if is_written:
        write_whole(new_file, rewritten.text.replace("\n", ending))
    return Migration(
        file,
        new_file,
        _difference(text, rewritten.text, file, new_file),
        rewritten.moved,
        rewritten.left,
        proof,
        is_written=is_written,
    )


def _difference(old: str, new: str, file: str, new_file: str) -> str:
    lines = [each.splitlines(keepends=True) for each in (old, new)]
    return "".join(difflib.unified_diff(lines[0], lines[1], file, new_file))


def _proof(
    module: PipelineModule, rewritten: Rewritten, wanted: Wanted, options: PipelineOptions
) -> Proof:
    """Plan the new form, and compare that with the plan of the experiment."""
    with _written_for_a_while(os.path.dirname(module.file), rewritten.text) as file:
        trial = replace(module, file=file).named_by_path
        try:
            document = _plan_elsewhere(replace(options, file=trial), "in its new form")
        except MarinBuildError as error:
            reason = str(dict(error.facts).get("reason", error))
            return Proof(len(wanted.planned), (), reason)
    return compare_plans(wanted.planned, planned_steps(document))


def _plan_elsewhere(options: PipelineOptions, where: str) -> Any:
    """Return the document of a plan of all targets, as another process makes it."""
    with running_elsewhere("plan", options, [_ALL, "--json"]) as other:
        return json.loads(other.printed(where))


def _refuse_to_lose(file: str, *, in_place: bool) -> None:
    """Refuse to write over a text that is nowhere else."""
    if in_place and not is_committed(file):
        raise UsageError(
            f"`{file}` is not committed in git as it is",
            consequence=_NOTHING,
            hint="commit it first, or leave out --in-place",
        )
    if not in_place and os.path.exists(file):
        raise UsageError(
            f"`{file}` is there already",
            consequence=_NOTHING,
            hint="move it away, or write over the experiment itself with --in-place",
        )


@contextmanager
def _written_for_a_while(folder: str, text: str) -> Iterator[str]:
    """Write a module beside the experiment, whose imports and configuration it needs."""
    file = os.path.join(folder, f"marin_build_trial_{uuid.uuid4().hex[:8]}.py")
    try:
        try:
            write_whole(file, text)
        except OSError as error:
            raise SpecificationError(
                f"cannot write beside the experiment: {error}", consequence=_NOTHING
            ) from None
        yield file
    finally:
        if os.path.exists(file):
            os.unlink(file)
