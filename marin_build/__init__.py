"""marin-build: step graphs in Python -> reviewable plans -> incremental replays.

The public names are imported when they are first used, so that importing the package is free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build._version import __version__

if TYPE_CHECKING:
    from marin_build.command_step import command as command
    from marin_build.decorator import StepFunction as StepFunction
    from marin_build.decorator import step as step
    from marin_build.errors import MarinBuildError as MarinBuildError
    from marin_build.resources import ResourceConfig as ResourceConfig
    from marin_build.sources import Source as Source
    from marin_build.sources import source as source
    from marin_build.step_spec import DeclaredStep as DeclaredStep
    from marin_build.step_spec import StepSpec as StepSpec

_HOMES = {
    "DeclaredStep": "step_spec",
    "MarinBuildError": "errors",
    "ResourceConfig": "resources",
    "Source": "sources",
    "StepFunction": "decorator",
    "StepSpec": "step_spec",
    "command": "command_step",
    "source": "sources",
    "step": "decorator",
}

__all__ = [
    "DeclaredStep",
    "MarinBuildError",
    "ResourceConfig",
    "Source",
    "StepFunction",
    "StepSpec",
    "__version__",
    "command",
    "source",
    "step",
]


def __getattr__(name: str) -> object:
    """Import a public name from its module."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
