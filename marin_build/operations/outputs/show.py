"""One output with all that a person asks of it first: value, files, what made it, and from what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.observe.preview_files import preview_files
from marin_build.operations.outputs.find_outputs import find_output
from marin_build.protocol.artifact import read_artifact
from marin_build.protocol.manifest import own_files_of
from marin_build.protocol.recipe_reader import read_recipe
from marin_build.quick_dataclass import dataclass
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from marin_build.observe.preview_files import Preview
    from marin_build.observe.read_builds import StoredOutput
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.outputs.find_outputs import FoundOutputs
    from marin_build.protocol.recipe_reader import Recipe
    from marin_build.store.base import File


@dataclass(frozen=True, slots=True)
class ShownOutput:
    """An output, and what is known about it.

    Args:
        output: which one, and how its build ended.
        found: how it was found.
        recipe: what made it; None if no readable record says.
        artifact: what its step returned, as JSON values; None if that is nothing.
        artifact_size: bytes of that as JSON.
        artifact_error: why the artifact cannot be read; empty if it can.
        files: path and size of each file of its data, sorted.
        previews: of the first few of them.

    """

    output: StoredOutput
    found: FoundOutputs
    recipe: Recipe | None
    artifact: Any
    artifact_size: int
    artifact_error: str
    files: tuple[File, ...]
    previews: tuple[Preview, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def show_output(options: PipelineOptions, word: str) -> ShownOutput:
    """Read one output, and look into its files.

    Args:
        options: name the pipeline and its prefix.
        word: a selector of one target, or a word that names one identity.

    Raises:
        UsageError: it names no output, or several.
        StoreError: the store cannot be read.

    """
    output, found = find_output(options, word)
    store = found.store
    artifact, size, why = None, 0, ""
    if (saved := read_artifact(store, output.path)) is not None:
        size = len(saved[0])
        try:
            artifact = parse_json(saved[0])
        except ValueError as error:
            why = str(error)
    files = own_files_of(store, output.data)
    return ShownOutput(
        output,
        found,
        read_recipe(store, output.path),
        artifact,
        size,
        why,
        files,
        tuple(preview_files(store, output.data, files)),
    )
