"""The filter of manifests against what Kubernetes makes of a text."""

from __future__ import annotations

import yaml as pyyaml
from hypothesis import example, given
from hypothesis import strategies as st

from marin_build.engines.kubernetes.text import kubernetes_text

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def _expand(text: str) -> str:
    """Expand `$(VAR)` as Kubernetes does in commands and environment variables.

    After tryReadVariableName of k8s.io/kubernetes/third_party/forked/golang/expansion/expand.go;
    here every variable exists.
    """
    out, i = "", 0
    while i < len(text):
        if text[i] != "$" or i + 1 == len(text):
            out, i = out + text[i], i + 1
        elif text[i + 1] == "$":
            out, i = out + "$", i + 2
        elif text[i + 1] == "(" and ")" in text[i:]:
            out, i = out + "EXPANDED", text.index(")", i) + 1
        else:
            out, i = out + text[i : i + 2], i + 2
    return out


@given(TEXT | st.text("$()A{} ", max_size=8))
@example("$(HOME)")
@example("$$(HOME)")
@example("$$$(HOME)")
@example("echo $$")
@example("$HOME ${HOME} $")
def test_kubernetes_expands_nothing_of_a_value(value: str) -> None:
    assert _expand(pyyaml.safe_load(kubernetes_text(value))) == value
