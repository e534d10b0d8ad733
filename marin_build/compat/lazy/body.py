"""What runs where an artifact is built: the config, the function, and the record."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.compat.fingerprint import canonical_json
from marin_build.compat.lazy.context import StepContext
from marin_build.errors import StepFailedError
from marin_build.identity.callables import StandsForFunction, local_function
from marin_build.plan.regions import region_of
from marin_build.store.open_store import open_store
from marin_build.text.secret_shapes import masked_value
from marin_build.workspace.places import is_url
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from marin_build.compat.lazy.handle import Handle


class NoDataToAdoptError(StepFailedError, FileNotFoundError):
    """An artifact that stands for data which is not there."""


@dataclass(frozen=True, slots=True)
class ArtifactBody(StandsForFunction):
    """The function of an artifact's step. It writes the record of the artifact.

    Args:
        handle: the artifact.
        payload, fingerprint: of its recipe.
        result_type: the name of its class.
        dep_ids: `name@version` of what it needs.

    """

    handle: Handle[Any]
    payload: str
    fingerprint: str
    result_type: str
    dep_ids: tuple[str, ...]

    @property
    def code_function(self) -> object:
        """The author's function, as code digests read it."""
        return local_function(self.handle.run)

    def __call__(self, output_path: str) -> object:
        """Make the artifact, write its record, and return what the author's function returned.

        Raises:
            NoDataToAdoptError: it stands for data which is not there; a FileNotFoundError.
            StoreError: the store cannot be read or written.

        """
        if self.handle.adopt_source is not None:
            self._register(output_path)
            return None
        from marin_build.compat.artifact import Artifact

        handle, prefix = self.handle, self._prefix
        context = StepContext.for_run(
            output_path,
            prefix,
            region=region_of(prefix, {}),
            runtime_args=handle.runtime_args,
            deps=handle.deps,
        )
        config = handle.build_config(context)
        returned: object = local_function(handle.run)(config)
        if handle.override_path is None:
            recorded = json.loads(canonical_json(config))
            result = returned.result_payload() if isinstance(returned, Artifact) else None
            self._write_record(output_path, masked_value(recorded), result=result)
        return returned

    def _register(self, output_path: str) -> None:
        """Write the record of adopted data."""
        source = self.handle.path(self._prefix)
        if not _is_there(source):
            raise NoDataToAdoptError(
                f"cannot adopt `{self.handle.identity}`: there is no data at `{source}`",
                hint="correct `source`",
            )
        self._write_record(output_path, self.handle.adopt_config, source=source)

    def _write_record(
        self, output: str, config: Any, *, source: str | None = None, result: Any = None
    ) -> None:
        from marin_build.compat.artifact_record import ArtifactRecord, write_record
        from marin_build.protocol.launch_provenance import launch_provenance

        write_record(
            ArtifactRecord(
                name=self.handle.name,
                version=self.handle.version,
                fingerprint=self.fingerprint,
                result_type=self.result_type,
                output_path=output,
                deps=list(self.dep_ids),
                config=config if isinstance(config, dict) else None,
                source=source,
                result=result,
                fingerprint_payload=self.payload,
                provenance=launch_provenance(),
            )
        )

    @property
    def _prefix(self) -> str:
        return current_workspace(self.handle.place[0]).prefix


def _is_there(place: str) -> bool:
    """Return whether a file or a folder is at a place; a folder is not walked."""
    if not is_url(place):
        return os.path.exists(place)
    store, place = open_store(place), place.rstrip("/")
    parent, _, name = place.rpartition("/")
    return bool(store.list(place) or store.folders(f"{place}/") or name in store.list(parent))
