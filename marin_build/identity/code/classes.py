"""Classes of captured values: their names in digests, their files, and which are the project's."""

from __future__ import annotations

import sys
import types

from marin_build.identity.code.foreign import is_foreign
from marin_build.identity.code.our_names import module_name


def is_ours(kind: type) -> bool:
    """Return whether a file of the project defines a class."""
    file = file_of(kind.__module__)
    return file is not None and not is_foreign(file)


def has_methods(kind: type) -> bool:
    """Return whether a class has methods that a person wrote; a named tuple's are generated."""
    inner = (getattr(getattr(m, "fget", m), "__func__", m) for m in vars(kind).values())
    files = (m.__code__.co_filename for m in inner if isinstance(m, types.FunctionType))
    return any(not file.startswith("<") and not is_foreign(file) for file in files)


def type_name(value: object) -> str:
    """Return the name that digests give the class of a value."""
    return type_text(type(value))


def type_text(kind: type) -> str:
    """Return the name that digests give a class: its module and its qualified name."""
    return f"{module_name(kind.__module__)}.{kind.__qualname__}"


def file_of(module: str) -> str | None:
    """Return the file of an imported module; None if it has none, or is not imported."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return file if isinstance(file, str) else None
