"""Reading a manifest as `kubectl` reads it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml


class UnreadableManifestError(Exception):
    """A text that is no YAML, or whose documents are no objects; says why, in words."""


def read_manifests(text: str) -> list[dict[str, Any]]:
    """Return the objects of a manifest; documents that are empty are none.

    Raises:
        UnreadableManifestError: `kubectl` would not read it.

    """
    import yaml

    try:
        documents = list(yaml.load_all(text, _loader()))
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise UnreadableManifestError(f"{where}{problem}") from error
    objects = [document for document in documents if document is not None]
    for document in objects:
        if not isinstance(document, dict):
            raise UnreadableManifestError(f"it holds a {type(document).__name__}, not an object")
    return objects


@functools.cache
def _loader() -> type[yaml.SafeLoader]:
    """Return the reader of YAML: libyaml's, where there is one, with the scalars of Kubernetes.

    `2026-11-21` and `12:30` are texts there; a key that is there twice is an error.
    """
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class ManifestLoader(base):  # type: ignore[misc] # chosen above
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [
                (key.tag, key.value) for key, _ in node.value if not isinstance(key.value, list)
            ]
            if len(set(keys)) < len(keys):
                key = next(one for i, one in enumerate(keys) if one in keys[:i])[1]
                raise yaml.constructor.ConstructorError(
                    problem=f"the key `{key}` is there twice", problem_mark=node.start_mark
                )
            return super().construct_mapping(node, deep)

    def number(read: str) -> Any:
        def construct(loader: Any, node: Any) -> Any:
            text = loader.construct_scalar(node)
            return text if ":" in text else getattr(loader, read)(node)

        return construct

    ManifestLoader.add_constructor("tag:yaml.org,2002:timestamp", ManifestLoader.construct_scalar)
    ManifestLoader.add_constructor("tag:yaml.org,2002:int", number("construct_yaml_int"))
    ManifestLoader.add_constructor("tag:yaml.org,2002:float", number("construct_yaml_float"))
    return ManifestLoader
