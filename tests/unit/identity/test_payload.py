"""The formula of identity, against vectors made with other tools.

Whoever keeps outputs worth thousands of dollars must find them again after an upgrade: a changed
vector in `tests/data/fingerprint_vectors.json` means that all of them are built anew.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import command, step
from marin_build.identity.canonical import freeze
from marin_build.identity.payload import deep_fingerprint, fingerprint_of, payload_text
from marin_build.pipeline.source import Source
from marin_build.pipeline.source_digests import remember_digest
from marin_build.pipeline.step_spec import StepSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

VECTORS = Path(__file__).parents[2] / "data" / "fingerprint_vectors.json"
TABLE = json.loads(VECTORS.read_text())["vectors"]


@step(name="compare")
def _compare(output: str, left: str, right: str, k: int = 3) -> None: ...


@step
def _count(output: str, text: str) -> None: ...


def _declared() -> Mapping[str, StepSpec]:
    """The steps of the vectors, as an author writes them."""
    text: Any = Source("text", "/data/text.txt")
    remember_digest(text, "ab" * 32)
    raw: Any = StepSpec(name="raw")
    sizes = {"vocab": 8000, "lower": True}
    tokens: Any = StepSpec(name="data/tokens", deps=[raw], hash_attrs=sizes)
    frozen = StepSpec(name="gold", version="2026.11.21", hash_attrs={"any": "thing"})
    return {
        "raw": raw,
        "tokens": tokens,
        "gold": frozen,
        "train": StepSpec(
            name="train", deps=[tokens, frozen], hash_attrs={"lr": 0.1, "note": "naïve"}
        ),
        "with inputs": StepSpec(name="read", inputs={"anything": text}),
        "bound": _compare(left=tokens, right=raw),
        "bound the other way": _compare(left=raw, right=tokens),
        "bound input": _count.options(name="count")(text),
        "shell": command("wc -l {text} >{output}/n", name="lines", inputs={"text": text}),
        "argv": command(
            ["cp", "{raw}/a", "{output}/b-{n}"], name="copy", deps={"raw": raw}, params={"n": 1}
        ),
    }


@pytest.mark.parametrize("vector", TABLE, ids=lambda vector: vector["step"])
def test_the_vectors_hold(vector: dict[str, Any]) -> None:
    fingerprint = hashlib.sha256(vector["payload"].encode()).hexdigest()
    assert fingerprint == vector["fingerprint"]
    assert fingerprint_of(vector["payload"]) == fingerprint


@pytest.mark.parametrize(
    "vector", [v for v in TABLE if "formula" not in v], ids=lambda vector: vector["step"]
)
def test_declared_steps_have_the_fingerprints_of_the_vectors(vector: dict[str, Any]) -> None:
    declared = _declared()[vector["step"]]
    assert declared.payload == vector["payload"]
    assert declared.fingerprint == vector["fingerprint"]
    assert declared.name_with_hash == vector["name_with_hash"]


@pytest.mark.parametrize(
    "vector", [v for v in TABLE if "formula" in v], ids=lambda vector: vector["step"]
)
def test_the_formula_gives_the_payloads_of_the_vectors(vector: dict[str, Any]) -> None:
    assert payload_text(**vector["formula"]) == vector["payload"]


def test_every_declared_step_has_a_vector() -> None:
    assert {v["step"] for v in TABLE if "formula" not in v} == set(_declared())


_NAMES = st.text(min_size=1, max_size=3)


@given(
    name=_NAMES,
    attrs=st.dictionaries(
        _NAMES,
        st.integers() | _NAMES | st.floats(allow_nan=False, allow_infinity=False),
        max_size=3,
    ),
    deps=st.lists(_NAMES, max_size=4),
    bind=st.none() | st.dictionaries(_NAMES, _NAMES, max_size=2),
    command=st.none() | st.fixed_dictionaries({"shell": _NAMES}),
    inputs=st.none() | st.dictionaries(_NAMES, _NAMES, max_size=2),
    code=st.none() | _NAMES,
)
def test_the_payload_holds_what_is_used_and_nothing_else(
    name: str, attrs: Any, deps: list[str], bind: Any, command: Any, inputs: Any, code: Any
) -> None:
    """Else an upgrade renames all targets: the payload is the text that any JSON encoder gives."""
    attrs = freeze(attrs, "s.attrs")
    text = payload_text(name, attrs, deps, bind=bind, command=command, inputs=inputs, code=code)
    optional = {"bind": bind, "command": command, "inputs": inputs, "code": code}
    used = {key: value for key, value in optional.items() if value}
    payload = {"name": name, "attrs": attrs, "deps": sorted(deps), **used}
    assert text == json.dumps(payload, sort_keys=True)
    assert json.loads(text) == payload


@given(st.lists(_NAMES, unique=True, min_size=2, max_size=4), _NAMES)
def test_deep_fingerprints_see_every_upstream_but_not_their_order(
    upstream: list[str], other: str
) -> None:
    whole = deep_fingerprint("f", upstream)
    assert whole == deep_fingerprint("f", upstream[::-1])
    assert whole != deep_fingerprint("f", upstream[1:])
    assert whole != deep_fingerprint("g", upstream)
    if other not in upstream:
        assert whole != deep_fingerprint("f", [other, *upstream[1:]])
