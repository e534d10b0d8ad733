"""Functions of other dialects that say themselves what the record of their step shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class TellsRecord:
    """A function whose step has a configuration besides the attributes that are its identity."""

    __slots__ = ()

    @property
    def recorded_config(self) -> Any:
        """The configuration it is called with, as a JSON value; null if it has none."""
        raise NotImplementedError

    @property
    def recorded_version(self) -> Mapping[str, Any]:
        """What its identity was made of, as JSON values."""
        raise NotImplementedError
