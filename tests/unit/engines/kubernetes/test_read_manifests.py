"""A manifest is read here as `kubectl` reads it."""

from __future__ import annotations

import pytest

from marin_build.engines.kubernetes.read_manifests import UnreadableManifestError, read_manifests


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 2026-11-21", "2026-11-21"),
        ("a: 2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
        ("a: 12:30", "12:30"),
        ("a: 1:30.5", "1:30.5"),
        ("a: 12", 12),
        ("a: 0777", 511),
        ("a: 1.5", 1.5),
        ("a: true", True),
        ("a: ~", None),
        ('a: "12"', "12"),
        ("a: {<<: {b: 1}, b: 2}", {"b": 2}),
    ],
)
def test_scalars_are_those_that_a_server_gets(text: str, value: object) -> None:
    """Else a date in an annotation is refused, or a number where a text must be is not."""
    assert read_manifests(text) == [{"a": value}]


def test_documents_are_read_apart() -> None:
    """Else a Service that a template adds counts as a mistake."""
    assert read_manifests("# nothing\n---\na: 1\n---\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]
    assert read_manifests("") == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: [1", "line 3: did not find expected ',' or ']'"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "line 3: the key `c` is there twice"),
        ("- a", "it holds a list, not an object"),
        ("a: !!python/object:os.system {}", "line 1: could not determine a constructor"),
        ("\x00", "it is not YAML"),
    ],
)
def test_what_kubectl_cannot_read_is_refused(text: str, says: str) -> None:
    """Else the script that submits a plan stops at its first line, or loses a variable."""
    with pytest.raises(UnreadableManifestError) as caught:
        read_manifests(text)
    assert str(caught.value).startswith(says)
