"""Files of a project that are called as a module of Python, or of a package that we need.

The folders of a project stand before all others on the module path, and many of our imports come
late. So such a name means the other module in all imports of a process; and a pipeline that imports
it, and may mean its own file, is refused with both places.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from marin_build.errors import SpecificationError
from marin_build.workspace.regular_files import open_regular
from marin_build.workspace.workspace import installed_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

OUR_NAMES = frozenset(
    """
    adlfs aiobotocore aiohappyeyeballs aiohttp aioitertools aiosignal annotated_types attr
    attrs azure botocore certifi cffi charset_normalizer click cryptography dateutil
    decorator durationpy frozenlist fsspec gcsfs google google_auth_oauthlib google_crc32c
    grpc idna isodate jinja2 jmespath jwt kubernetes markdown_it markupsafe mdurl msal
    msal_extensions multidict networkx oauthlib opentelemetry propcache proto pyasn1
    pyasn1_modules pycparser pydantic pydantic_core pygments requests requests_oauthlib rich
    s3fs six typing_extensions typing_inspection urllib3 websocket wrapt yaml yarl
    """.split()  # noqa: SIM905 - a list of quoted names would take a page
)
"""Top-level modules of our dependencies, and of theirs, those of the extras included."""
_RENAME = "rename it, or move it into a package and import it from there: from PACKAGE import {}"


def is_taken(name: str) -> bool:
    """Return whether a top-level name is Python's, or one that we import."""
    return name in sys.stdlib_module_names or (
        name in OUR_NAMES and PathFinder.find_spec(name, _other_folders(())) is not None
    )


def keep_apart(folders: Sequence[str]) -> Mapping[str, str]:
    """Let imports find Python's modules and ours, also where a project has files of these names.

    Args:
        folders: the project's folders on the module path.

    Returns:
        name -> file of the project that is passed over.

    """
    shadowed = dict(_shadowed(folders))
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, _Others)]
    if shadowed:
        # Before what looks along the path, behind what finds built-in modules.
        at = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else 0
        sys.meta_path.insert(at, _Others(frozenset(shadowed), folders))
    return shadowed


def refuse_imports(shadowed: Mapping[str, str], files: Iterable[str], project: str) -> None:
    """Refuse files of a project that import a name which is passed over.

    Args:
        shadowed: name -> file of the project.
        files: what may import it.
        project: the folder that places are shown from.

    Raises:
        SpecificationError: one does.

    """
    for file in files:
        for name, line in _imports_of(file):
            if (own := shadowed.get(name)) is not None:
                raise SpecificationError(
                    f"`import {name}` means two modules: a file of yours, and {_whose(name)}",
                    facts=[
                        ("imported", f"{os.path.relpath(file, project)}:{line}"),
                        ("yours", os.path.relpath(own, project)),
                    ],
                    consequence="nothing was run",
                    hint=_RENAME.format(name),
                )


def refuse_name(name: str, file: str) -> None:
    """Refuse a pipeline that would take the place of a module of Python, or of one that we need.

    Args:
        name: what it is imported as.
        file: its path.

    Raises:
        SpecificationError: it would.

    """
    top = name.partition(".")[0]
    if is_taken(top):
        raise SpecificationError(
            f"the pipeline would be imported as `{name}`, and `{top}` is {_whose(top)}",
            facts=[("file", file)],
            consequence="nothing was run",
            hint=f"rename the {'folder' if '.' in name else 'file'}",
        )


def loaded_files(folders: Sequence[str], error: BaseException | None = None) -> Iterator[str]:
    """Yield the files of a project's modules that are imported, or whose import raised `error`."""
    starts = tuple(folder + os.sep for folder in folders)
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    trace = error.__traceback__ if error is not None else None
    while trace is not None:
        files.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    for file in files:
        if not isinstance(file, str) or not file.startswith(starts):
            continue
        if file.endswith(".py") and installed_in(file) is None:
            yield file


class _Others:
    """Finds modules of some names everywhere but in the folders of a project."""

    def __init__(self, names: frozenset[str], folders: Sequence[str]) -> None:
        self._names, self._folders = names, folders

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return the other module; None lets the usual finders look.

        Raises:
            ModuleNotFoundError: there is none, as of `msvcrt` elsewhere than on Windows.

        """
        if path is not None or name not in self._names:
            return None
        spec = PathFinder.find_spec(name, _other_folders(self._folders), target)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return spec


def _other_folders(folders: Sequence[str]) -> list[str]:
    """Return the module path without some folders, and without the current one."""
    return [each for each in sys.path if each and each not in folders]


def _shadowed(folders: Sequence[str]) -> Iterator[tuple[str, str]]:
    for folder in reversed(folders):
        try:
            entries = os.listdir(folder)
        except OSError:
            continue
        for entry in entries:
            name = entry.removesuffix(".py")
            if name not in sys.stdlib_module_names and name not in OUR_NAMES:
                continue
            place = os.path.join(folder, entry)
            file = place if name != entry else os.path.join(place, "__init__.py")
            if os.path.isfile(file) and (
                name in sys.stdlib_module_names
                or PathFinder.find_spec(name, _other_folders(folders)) is not None
            ):
                yield name, file


def _imports_of(file: str) -> Iterator[tuple[str, int]]:
    """Yield the top-level modules that a file imports, with the lines."""
    import ast

    try:
        with open_regular(file) as stream:
            tree = ast.parse(stream.read())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name.partition(".")[0], node.lineno) for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0], node.lineno


def _whose(name: str) -> str:
    if name in sys.stdlib_module_names:
        return "one of Python"
    return "one of a package that marin-build needs"
